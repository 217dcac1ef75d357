import { join } from 'node:path';
import { LoraPipeline } from '../adapters/lora-pipeline.js';
import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames, stemOf } from '../names.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import type { LoadOptions, ModelIndex, SDParts, XLParts } from '../pipelines/loading/parts.js';
import { type ControlNetInfo, ControlNets } from './control-nets.js';
import { ControlNetModel } from './controlnet-model.js';
import { findControlNet } from './find.js';

/** How a ControlNet is loaded. */
export interface LoadControlNetOptions {
  /** What it is called from then on; by default its file's name without the ending. */
  name?: string;
  /** What pictures' settings say of it in the place of the path: those of a server need not tell where its files lie. */
  label?: string;
  /** Prefer weight files of this variant, such as 'fp16'. */
  variant?: string;
  /** Stops loading, and waiting for a turn. */
  signal?: AbortSignal;
}

/** A pipeline that takes ControlNets (docs/controlnet.md). Pipelines over the same models have the same ones. */
export abstract class ControlPipeline<
  Options extends GenerateOptions,
  Parts extends SDParts | XLParts,
> extends LoraPipeline<Options, Parts> {
  /** Its ControlNets, in the order in which they were loaded. */
  get controlNets(): ControlNetInfo[] {
    return this.components.models.controls?.list ?? [];
  }

  /**
   * Loads a ControlNet beside those that are there. Runs with a `controlImage` use all of them, others none.
   *
   * @param file a folder in the diffusers layout, or a single file of diffusers or of the original code.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS, ERR_DEEPCACHE_INVALID_CONFIG; ERR_DEEPCACHE_INVALID_ARGUMENT for
   * a name that is taken, or a network for another kind of model. Nothing has changed then.
   */
  async loadControlNet(file: string, options: LoadControlNetOptions = {}): Promise<ControlNetInfo> {
    if (typeof file !== 'string' || file === '')
      throw invalidArgument('file', `must be a path, got ${show(file)}`);
    checkNames(options, ['name', 'label', 'variant', 'signal']);
    const { name = stemOf(file), label, variant, signal } = options;
    if (typeof name !== 'string' || name === '')
      throw invalidArgument('name', `must be a text, got ${show(name)}`);
    this.requireOpen();
    const { models, unet, vae, backend } = this.components;
    models.controls ??= new ControlNets();
    const nets = models.controls;
    nets.requireFree(name);
    const found = await findControlNet(file, { variant, signal, log: this.log, unet: unet.config });
    requireFit(file, found.config, unet.config);
    const model = await ControlNetModel.load(backend, found, { beside: unet.native, signal }).catch(
      (error: unknown) => {
        if (!(error instanceof DeepCacheError) || error.code !== 'ERR_DEEPCACHE_INVALID_ARGUMENT')
          throw error;
        throw invalidArgument('file', `${file}: ${error.message}`);
      },
    );
    try {
      if (model.scale !== vae.scale) {
        throw invalidArgument(
          'file',
          `${file} makes one value of ${model.scale} pixels a side, the autoencoder of ${vae.scale}`,
        );
      }
      return await this.change(async () => {
        nets.requireFree(name);
        return nets.add(name, file, model, label);
      }, signal);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  /** Frees a ControlNet, or all of them. */
  async unloadControlNet(name?: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return this.change(async () => this.components.models.controls?.remove(name), signal);
  }

  /** Those that the options name, or that lie in the model's folder. */
  protected override async loadExtras({ source }: ModelIndex, options: LoadOptions): Promise<void> {
    const { controlNet, variant, signal } = options;
    const own = ['controlnet', 'controlnet_1', 'controlnet_2', 'controlnet_3']
      .filter((part) => source.has(part))
      .map((part) => join(source.place, part));
    const files = controlNet === undefined ? own : [controlNet].flat();
    for (const [i, file] of files.entries()) {
      const name = stemOf(file);
      const taken = this.controlNets.some((one) => one.name === name);
      await this.loadControlNet(file, {
        ...(taken && { name: `${name}-${i + 1}` }),
        ...(variant !== undefined && { variant }),
        ...(signal && { signal }),
      });
    }
  }
}

/** Fields in which a ControlNet must be like its U-Net. */
const SAME = ['block_out_channels', 'layers_per_block', 'cross_attention_dim', 'addition_embed_type'];

function requireFit(
  file: string,
  own: Readonly<Record<string, unknown>>,
  unet: Readonly<Record<string, unknown>>,
): void {
  const text = (value: unknown) => JSON.stringify(value ?? null);
  const other = SAME.find((name) => text(own[name]) !== text(unet[name]));
  if (other === undefined) return;
  throw invalidArgument(
    'file',
    `${file} is for another kind of model: its ${other} is ${text(own[other])}, the U-Net's ${text(unet[other])}`,
  );
}

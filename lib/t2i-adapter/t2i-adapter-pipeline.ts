import { join } from 'node:path';
import { ControlPipeline } from '../control/control-pipeline.js';
import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { loadNative, sourceOf } from '../models/model-files.js';
import { checkNames, stemOf } from '../names.js';
import { native } from '../native/binding.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import type { LoadOptions, ModelIndex, SDParts, XLParts } from '../pipelines/loading/parts.js';
import { findT2IAdapter } from './find.js';
import { type T2IAdapterInfo, T2IAdapters } from './t2i-adapters.js';

/** How a T2I-Adapter is loaded. */
export interface LoadT2IAdapterOptions {
  /** What it is called from then on; by default its file's name without the ending. */
  name?: string;
  /** What pictures' settings say of it in the place of the path: those of a server need not tell where its files lie. */
  label?: string;
  /** Prefer weight files of this variant, such as 'fp16'. */
  variant?: string;
  /** Stops loading, and waiting for a turn. */
  signal?: AbortSignal;
}

/** Where diffusers' pipelines have theirs; several are numbered from 1. */
const PARTS = ['adapter', 'adapter_1', 'adapter_2', 'adapter_3'];

/** A pipeline that takes T2I-Adapters (docs/t2i-adapter.md). Pipelines over the same models have the same ones. */
export abstract class T2IAdapterPipeline<
  Options extends GenerateOptions,
  Parts extends SDParts | XLParts,
> extends ControlPipeline<Options, Parts> {
  /** Its T2I-Adapters, in the order in which they were loaded: that of the lists that runs take. */
  get t2iAdapters(): T2IAdapterInfo[] {
    return this.components.models.t2iAdapters?.list ?? [];
  }

  /**
   * Loads a T2I-Adapter beside those that are there. Runs with a `t2iAdapterImage` use all of them, others none.
   *
   * @param file a folder in the diffusers layout, or a single file of diffusers or of the original code.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS, ERR_DEEPCACHE_INVALID_CONFIG; ERR_DEEPCACHE_INVALID_ARGUMENT for
   * a name that is taken, or an adapter for another kind of model. Nothing has changed then.
   */
  async loadT2IAdapter(file: string, options: LoadT2IAdapterOptions = {}): Promise<T2IAdapterInfo> {
    if (typeof file !== 'string' || file === '')
      throw invalidArgument('file', `must be a path, got ${show(file)}`);
    checkNames(options, ['name', 'label', 'variant', 'signal']);
    const { name = stemOf(file), label, variant, signal } = options;
    if (typeof name !== 'string' || name === '')
      throw invalidArgument('name', `must be a text, got ${show(name)}`);
    this.requireOpen();
    const { models, unet, backend, vae } = this.components;
    models.t2iAdapters ??= new T2IAdapters();
    const adapters = models.t2iAdapters;
    adapters.requireFree(name);
    const found = await findT2IAdapter(file, { variant, signal, log: this.log });
    const start = () => native().loadT2iAdapter(backend, sourceOf(found), unet.native);
    const adapter = await loadNative(found, start, signal).catch((error: unknown) => {
      if (!(error instanceof DeepCacheError) || error.code !== 'ERR_DEEPCACHE_INVALID_ARGUMENT') throw error;
      throw invalidArgument('file', `${file}: ${error.message}`);
    });
    try {
      if (adapter.scale !== vae.scale) {
        throw invalidArgument(
          'file',
          `${file} makes one value of ${adapter.scale} pixels a side, the autoencoder of ${vae.scale}`,
        );
      }
      return await this.change(async () => adapters.add(name, file, adapter, label), signal);
    } catch (error) {
      adapter.dispose();
      throw error;
    }
  }

  /** Frees a T2I-Adapter, or all of them. */
  async unloadT2IAdapter(name?: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return this.change(async () => this.components.models.t2iAdapters?.remove(name), signal);
  }

  /** Those that the options name, or that lie in the model's folder. */
  protected override async loadExtras(index: ModelIndex, options: LoadOptions): Promise<void> {
    await super.loadExtras(index, options);
    const { t2iAdapter, variant, signal } = options;
    const { source } = index;
    const own = PARTS.filter((part) => source.has(part)).map((part) => join(source.place, part));
    const files = t2iAdapter === undefined ? own : [t2iAdapter].flat();
    for (const [i, file] of files.entries()) {
      const name = stemOf(file);
      const taken = this.t2iAdapters.some((one) => one.name === name);
      await this.loadT2IAdapter(file, {
        ...(taken && { name: `${name}-${i + 1}` }),
        ...(variant !== undefined && { variant }),
        ...(signal && { signal }),
      });
    }
  }
}

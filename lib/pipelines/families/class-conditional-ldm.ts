import { latentFullCalls } from '../../deepcache/index.js';
import { invalidArgument, invalidConfig } from '../../errors.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { ClassEmbedder } from '../../models/class-embedder.js';
import { findModel } from '../../models/model-files.js';
import { LatentUNetModel } from '../../models/unconditional-unets.js';
import { openBackend } from '../../native/device.js';
import { checkOptions } from '../../options/check.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { MAX_IMAGES } from '../../options/spec/run.js';
import { LatentDDIMScheduler, type Scheduler } from '../../schedulers/index.js';
import { inSlices } from '../../slices.js';
import { joined, type Tensor } from '../../tensor.js';
import { checkSeeds } from '../inputs/seeds.js';
import type { ModelIndex } from '../loading/model-index.js';
import type { LoadOptions, PipelineParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { chooseScheduler } from '../loading/scheduler-file.js';
import { loadTogether } from '../loading/together.js';
import { toUnitPixels } from '../outputs/pixels.js';
import { SamplingPipeline, type SamplingRun } from './sampling-pipeline.js';

export interface ClassConditionalLDMOptions extends OptionsOf<'ldm'> {
  classLabels: number | readonly number[];
}

/** The parts of a latent diffusion checkpoint. */
export interface LatentDiffusionParts extends PipelineParts {
  readonly vae: AutoencoderKL;
  readonly classes: ClassEmbedder;
}

const DEFAULT_STEPS = 250;
const DEFAULT_GUIDANCE = 1.5;

/**
 * Pictures of a class (Rombach et al. 2022): LDM-4-G on ImageNet. Loads latent diffusion's own layout: config.json with
 * the `model` section of its configuration, and model.safetensors with the names of the published checkpoint
 * (cin256-v2). diffusers' LDMPipeline is the unconditional model, and another class.
 */
export class ClassConditionalLDMPipeline extends SamplingPipeline<
  ClassConditionalLDMOptions,
  LatentDiffusionParts
> {
  static override readonly className: string = 'ClassConditionalLDMPipeline';
  static override readonly parts: readonly string[] = ['unet', 'vae', 'classes'];

  /** @internal */
  static async load({ folder }: ModelIndex, options: LoadOptions): Promise<LatentDiffusionParts> {
    const { variant, signal } = options;
    const backend = openBackend(options);
    const { config, files } = await findModel(folder, 'model', { variant, signal });
    const read = readConfig(folder, config);
    const scheduler = options.scheduler ? chooseScheduler(options.scheduler, read.scheduler) : read.scheduler;
    const classes = ClassEmbedder.load(files, read);
    const load = { variant, signal, stem: 'model' };
    return loadTogether(async (keep, models) => {
      const unet = await keep(LatentUNetModel.load(backend, folder, load));
      const vae = await keep(AutoencoderKL.load(backend, folder, load));
      return { backend, scheduler, unet, vae, classes, models, users: 0 };
    });
  }

  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  /** Classes that pictures can show: `classLabels` go from 0 to one less. */
  get numClasses(): number {
    return this.components.classes.unconditional;
  }

  protected override resolve(options: ClassConditionalLDMOptions): SamplingRun {
    const { classes } = this.components;
    const checked = checkOptions('ldm', options, { classes: this.numClasses });
    const { cache = false, numImages = 1, classLabels, output = 'image' } = checked;
    const given = typeof classLabels === 'number' ? [classLabels] : classLabels;
    const labels = given.flatMap((label) => new Array<number>(numImages).fill(label));
    const batch = labels.length;
    if (batch > MAX_IMAGES) {
      throw invalidArgument('numImages', `makes ${batch} images in one run; at most ${MAX_IMAGES}`);
    }
    checkSeeds(checked, batch);
    const { guidanceScale: scale = DEFAULT_GUIDANCE, steps = DEFAULT_STEPS } = checked;
    const guided = scale !== 1;
    const none = new Array(guided ? batch : 0).fill(classes.unconditional);
    return {
      steps,
      output,
      batch,
      ...(guided && { guidanceScale: scale }),
      fullCalls: (timesteps) => latentFullCalls(cache, timesteps),
      conditions: { context: classes.embed([...none, ...labels]), contextLength: 1 },
      settings: (image) => ({ Class: labels[image], 'CFG scale': scale }),
    };
  }

  /** One image at a time, to save memory. */
  protected override async decode({ data, shape }: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
    const [batch = 0, ...each] = shape;
    const count = data.length / batch;
    const pixels: Float32Array[] = [];
    for (let i = 0; i < batch; i++) {
      const image = data.subarray(i * count, (i + 1) * count);
      const scaled = this.vae.latentScale.fromModel(image, (each[1] as number) * (each[2] as number));
      const one = await inSlices(scaled, signal);
      const decoded = await this.vae.decode({ data: one, shape: [1, ...each] }, { signal });
      pixels.push(await inSlices(toUnitPixels(decoded.data), signal));
    }
    const [, height = 0, width = 0] = each.map((extent) => extent * this.vae.scale);
    return { data: await inSlices(joined(pixels), signal), shape: [batch, 3, height, width] };
  }

  protected override get pixelScale(): number {
    return this.vae.scale;
  }

  protected override decodeBytes(signal: AbortSignal | undefined): Promise<number> {
    const { sampleHeight: height, sampleWidth: width } = this.unet;
    return this.vae.decodeBytes({ height, width }, { signal });
  }

  protected override decoderMemory() {
    return this.vae.memory();
  }
}

function readConfig(
  folder: string,
  config: Readonly<Record<string, unknown>>,
): { scheduler: Scheduler; classes: number; width: number } {
  const params = section(folder, config, 'params');
  const condition = section(folder, params, 'cond_stage_config');
  if (!String(condition.target).endsWith('.ClassEmbedder')) {
    throw invalidConfig(
      folder,
      `is conditioned by ${String(condition.target)}; only ClassEmbedder is supported`,
    );
  }
  const embedder = section(folder, condition, 'params');
  const [classes, width] = [embedder.n_classes ?? 1000, embedder.embed_dim].map((value) => {
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    throw invalidConfig(folder, 'needs whole numbers n_classes and embed_dim in cond_stage_config');
  }) as [number, number];
  const scheduler = new LatentDDIMScheduler({
    beta_start: params.linear_start ?? 0.0001,
    beta_end: params.linear_end ?? 0.02,
    num_train_timesteps: params.timesteps ?? 1000,
  });
  return { scheduler, classes, width };
}

function section(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  name: string,
): Readonly<Record<string, unknown>> {
  const value = config[name];
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw invalidConfig(folder, `lacks "${name}" in its config.json`);
}

registerPipeline(ClassConditionalLDMPipeline);

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ddpmFullCalls } from '../../deepcache/index.js';
import { readJson } from '../../files/json.js';
import { UNet2DModel } from '../../models/unconditional-unets.js';
import { openBackend } from '../../native/device.js';
import { checkOptions } from '../../options/check.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Valid } from '../../options/valid.js';
import { OriginalDDIMScheduler, Scheduler } from '../../schedulers/index.js';
import { inSlices } from '../../slices.js';
import type { Tensor } from '../../tensor.js';
import { checkSeeds } from '../inputs/seeds.js';
import type { ModelIndex } from '../loading/model-index.js';
import type { LoadOptions, PipelineParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { chooseScheduler, loadScheduler } from '../loading/scheduler-file.js';
import { toUnitPixels } from '../outputs/pixels.js';
import type { GenerateResult, OutputKind } from '../outputs/result.js';
import { SamplingPipeline, type SamplingRun } from './sampling-pipeline.js';

export interface DDPMOptions extends OptionsOf<'ddpm'> {}

/** Steps when options name none: diffusers' number for its own samplers, the paper's for the original one. */
const DIFFUSERS_STEPS = 1000;
const PAPER_STEPS = 100;

/**
 * Pictures from noise, in pixels (Ho et al. 2020): CIFAR-10, LSUN bedrooms and churches. Loads diffusers' folders
 * (google/ddpm-*) and the DDPM code's: config.json with its `model` and `data` sections in one object, and
 * model.safetensors. The latter are sampled with {@link OriginalDDIMScheduler}.
 */
export class DDPMPipeline extends SamplingPipeline<DDPMOptions, PipelineParts> {
  static override readonly className: string = 'DDPMPipeline';
  static override readonly parts: readonly string[] = ['unet'];

  /** @internal */
  static async load(index: ModelIndex, options: LoadOptions): Promise<PipelineParts> {
    const { variant, signal } = options;
    const { folder } = index;
    const backend = openBackend(options);
    // diffusers looks for parts in the folder itself where they have none of their own.
    const part = (name: string) => (existsSync(join(folder, name)) ? join(folder, name) : folder);
    const unetFolder = part('unet');
    const config = (await readJson(join(unetFolder, 'config.json'), { signal })).value;
    const original = Array.isArray(config.ch_mult);
    const scheduler = existsSync(join(part('scheduler'), 'scheduler_config.json'))
      ? await loadScheduler(index, options, part('scheduler'))
      : ownScheduler(config, original, options.scheduler);
    const unet = await UNet2DModel.load(backend, unetFolder, {
      variant,
      signal,
      ...(original && { stem: 'model' }),
    });
    return { backend, scheduler, unet, models: [unet], users: 0 };
  }

  /** Makes images; all options have defaults. */
  override generate<Output extends OutputKind = 'image'>(
    options: Valid<DDPMOptions> & { output?: Output } = {},
  ): Promise<GenerateResult<Output>> {
    return super.generate(options);
  }

  protected override resolve(options: DDPMOptions): SamplingRun {
    const checked = checkOptions('ddpm', options);
    const { cache = false, batchSize: batch = 1 } = checked;
    checkSeeds(checked, batch);
    const scheduler = this.schedulerFor(options);
    const defaultSteps = scheduler instanceof OriginalDDIMScheduler ? PAPER_STEPS : DIFFUSERS_STEPS;
    const { steps = defaultSteps, output = 'image' } = checked;
    return {
      steps,
      output,
      batch,
      fullCalls: (timesteps) => ddpmFullCalls(cache, timesteps, steps),
      conditions: {},
      settings: () => ({}),
    };
  }

  protected override async decode({ data, shape }: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
    return { data: await inSlices(toUnitPixels(data), signal), shape };
  }

  protected override async decodeBytes(): Promise<number> {
    return 0;
  }
}

/** What the DDPM code does with its configuration, unless another sampler was chosen. */
function ownScheduler(
  config: Record<string, unknown>,
  original: boolean,
  choice: LoadOptions['scheduler'],
): Scheduler {
  const fields = {
    beta_schedule: config.beta_schedule ?? 'linear',
    beta_start: config.beta_start ?? 0.0001,
    beta_end: config.beta_end ?? 0.02,
    num_train_timesteps: config.num_diffusion_timesteps ?? 1000,
  };
  const _class_name = original ? OriginalDDIMScheduler.className : 'DDPMScheduler';
  const own = Scheduler.fromConfig({ ...fields, _class_name });
  return choice === undefined ? own : chooseScheduler(choice, own);
}

registerPipeline(DDPMPipeline);

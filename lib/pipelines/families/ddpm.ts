import { posix } from 'node:path';
import { DdpmPolicy } from '../../deepcache/index.js';
import { UNet2DModel } from '../../models/unconditional-unets.js';
import { openBackend } from '../../native/device.js';
import { checkOptions } from '../../options/check.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Valid } from '../../options/valid.js';
import { OriginalDDIMScheduler, Scheduler } from '../../schedulers/index.js';
import { UsedPictures } from '../../settings/pictures.js';
import { inSlices } from '../../slices.js';
import { DiffusionPipeline } from '../diffusion-pipeline.js';
import type { Family } from '../family.js';
import type { RunOptions } from '../inputs/options.js';
import {
  checkRepainted,
  loadRepainted,
  type RepaintInputs,
  readRepainted,
  repaintBytes,
} from '../inputs/repainting.js';
import { factsOf } from '../loading/facts.js';
import { factsOfUnet } from '../loading/folder-facts.js';
import type { FolderFacts, LoadOptions, ModelIndex, PipelineParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { chooseScheduler, loadScheduler, SCHEDULER_FILE } from '../loading/scheduler-file.js';
import { SharedModels } from '../loading/shared-models.js';
import { planRun } from '../loop/denoise.js';
import { toUnitPixels } from '../outputs/pixels.js';
import type { GenerateResult, OutputKind } from '../outputs/result.js';
import { resolveSampling, samplingSettings, startSampling } from './sampling.js';

export interface DDPMOptions extends OptionsOf<'ddpm'> {}

/** The options of a run that were checked. */
interface RepaintOptions extends RunOptions, Pick<DDPMOptions, 'image' | 'maskImage'> {}

/** Steps when options name none: diffusers' numbers for its own samplers, the paper's for the original one. */
const DIFFUSERS_STEPS = 1000;
const REPAINT_STEPS = 250;
const PAPER_STEPS = 100;

const family: Family<DDPMOptions, RepaintOptions, PipelineParts, RepaintInputs | undefined> = {
  className: 'DDPMPipeline',
  parts: ['unet'],
  readFacts,
  loadParts,
  shortest: { steps: 2 },
  facts: factsOf,
  encoders: () => [],
  load: loadRepainted,
  size: () => undefined,
  resolve(given, facts, scheduler) {
    const options = checkOptions('ddpm', given);
    const { cache = false, batchSize: images = 1 } = options;
    const repaints = checkRepainted(options, scheduler, facts.channels);
    const usual = scheduler instanceof OriginalDDIMScheduler ? PAPER_STEPS : DIFFUSERS_STEPS;
    const { steps = repaints ? REPAINT_STEPS : usual } = options;
    // The paper's program counts steps; with jumps there are many more calls.
    const own = repaints ? { repaints } : { policy: new DdpmPolicy(cache, steps) };
    const { image, maskImage } = options;
    const run = resolveSampling(options, facts, { steps, images, guided: false, guidance: 1, ...own });
    return { ...run, ...(image && { image }), ...(maskImage && { maskImage }) };
  },
  plan: planRun,
  async prepare(run) {
    const { inputs, options, note } = run;
    const { images, signal } = options;
    let used: UsedPictures;
    return {
      memory: {
        unet: await run.parts.unet.runBytes({ batch: images }, { signal }),
        vae: 0,
        ...(inputs && { pictures: repaintBytes(inputs, options) }),
      },
      settings: (image) => used.fields(image, images),
      async condition() {
        used = await UsedPictures.of(options, signal);
        return inputs ? readRepainted(inputs, options, note) : {};
      },
      start: startSampling(run),
      async decode({ data, shape }) {
        return { data: await inSlices(toUnitPixels(data), signal), shape };
      },
    };
  },
  settings: (run, seeds, calls, stages) =>
    samplingSettings(run, seeds, calls, (image) => stages.settings?.(image) ?? {}),
};

/**
 * Pictures from noise, in pixels (Ho et al. 2020): CIFAR-10, LSUN bedrooms and churches. Loads diffusers' folders
 * (google/ddpm-*) and the DDPM code's: config.json with its `model` and `data` sections in one object, and
 * model.safetensors. The latter are sampled with {@link OriginalDDIMScheduler}.
 *
 * With the sampler RePaint they repaint a part of a picture (diffusers: RePaintPipeline): `image` and `maskImage`, white
 * where it is repainted. (diffusers' pipeline takes masks the other way round.)
 */
export class DDPMPipeline extends DiffusionPipeline<DDPMOptions, PipelineParts> {
  static override readonly family = family;

  /** Makes images; all options have defaults. */
  override generate<Output extends OutputKind = 'image'>(
    options: Valid<DDPMOptions> & { output?: Output } = {},
  ): Promise<GenerateResult<Output>> {
    return super.generate(options);
  }
}

registerPipeline(DDPMPipeline);

/** The configurations of a model, and the part that its U-Net is. */
async function readConfigs(index: ModelIndex, options: LoadOptions) {
  const { source } = index;
  // diffusers looks for parts in the folder itself where they have none of their own.
  const unet = source.has('unet') ? 'unet' : '';
  const config = (await source.json(posix.join(unet, 'config.json'), { signal: options.signal })).value;
  const original = Array.isArray(config.ch_mult);
  const file = source.has('scheduler') ? SCHEDULER_FILE : posix.basename(SCHEDULER_FILE);
  const scheduler = source.hasJson(file)
    ? await loadScheduler(index, options, file)
    : ownScheduler(config, original, options.scheduler);
  return { unet, config, original, scheduler };
}

async function readFacts(index: ModelIndex, options: LoadOptions): Promise<FolderFacts> {
  const { config, scheduler } = await readConfigs(index, { ...options, log: () => {} });
  return { facts: factsOfUnet(config), scheduler };
}

async function loadParts(index: ModelIndex, options: LoadOptions): Promise<PipelineParts> {
  const { variant, signal } = options;
  const backend = openBackend(options);
  const { unet: part, original, scheduler } = await readConfigs(index, options);
  const stem = original ? { stem: 'model' } : {};
  const found = await index.source.network(part, { variant, signal, ...stem });
  const unet = await UNet2DModel.load(backend, found, { signal });
  return { backend, scheduler, unet, models: new SharedModels([unet]) };
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

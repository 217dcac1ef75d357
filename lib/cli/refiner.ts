import { DeepCacheError, invalidArgument } from '../errors.js';
// Not from their own modules: this one knows all pipelines.
import {
  type DiffusionPipeline,
  type GenerateOptions,
  type GenerateResult,
  type LoadOptions,
  type ModelName,
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLInpaintPipeline,
} from '../index.js';
import { readModelIndex } from '../pipelines/loading/model-index.js';
import { resultOf } from '../pipelines/outputs/result.js';
import { addStats } from '../pipelines/outputs/stats.js';
import { runUpscaled } from '../upscale/after-run.js';
import type { GenerateFlags } from './generate-options.js';

const XL = /^StableDiffusionXL/;
const DEFAULT_START = 0.8;

// biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
type AnyPipeline = DiffusionPipeline<any, any>;

/** Throws what is wrong with the flags of a refiner, as far as folders show without being loaded. */
export async function checkRefiner(base: string | undefined, flags: GenerateFlags): Promise<void> {
  const { refiner, refinerStart = DEFAULT_START } = flags;
  if (refiner === undefined) return;
  if (!(refinerStart > 0 && refinerStart < 1)) {
    throw invalidArgument('refinerStart', `must be a number between 0 and 1, got ${refinerStart}`);
  }
  if (base !== undefined && !XL.test(base)) {
    throw invalidArgument('refiner', `is for SDXL models; the base model is a ${base}`);
  }
  const { className } = await readModelIndex(refiner).catch((error: unknown) => {
    if (!(error instanceof DeepCacheError)) throw error;
    throw invalidArgument('refiner', `is not a model: ${error.message}`, { cause: error });
  });
  if (!XL.test(className)) {
    throw invalidArgument('refiner', `must be an SDXL model; ${refiner} is a ${className}`);
  }
}

/** The pipeline for a refiner's part of the work; loaded before the base computes, so that what is wrong is found. */
export function loadRefiner(
  flags: GenerateFlags & { refiner: string },
  load: LoadOptions,
): Promise<AnyPipeline> {
  const { refiner, mask } = flags;
  // Those are the base model's.
  const { config: _c, unet: _u, vae: _v, textEncoder: _t, textEncoder2: _t2, useEma: _e, ...own } = load;
  return mask === undefined
    ? StableDiffusionXLImg2ImgPipeline.fromPretrained(refiner, own)
    : StableDiffusionXLInpaintPipeline.fromPretrained(refiner, own);
}

/** SDXL in two parts: the base model's latents go on in the refiner. */
export function refined(
  base: AnyPipeline,
  refiner: AnyPipeline,
  options: GenerateOptions,
  flags: GenerateFlags,
): Promise<GenerateResult> {
  return runUpscaled(base, options, (given) => inTwoParts(base, refiner, given, flags));
}

async function inTwoParts(
  base: AnyPipeline,
  refiner: AnyPipeline,
  options: GenerateOptions,
  { mask, refinerStart = DEFAULT_START }: GenerateFlags,
): Promise<GenerateResult> {
  // Pictures beside the prompt are the base model's: its adapters fit no refiner.
  const { latents: _, ipAdapterImage: _image, ipAdapterScale: _scale, ...rest } = options;
  const first = await base.generate({ ...options, denoisingEnd: refinerStart, output: 'latent' });
  // Random seeds of the first part are the second's too, so that the file holds the recipe.
  const { seeds, tensor } = first;
  const drawn = seeds.length === 1 ? { seed: seeds[0] } : { seeds };
  const { seed: _seed, seeds: _seeds, ...unseeded } = rest;
  const second = await refiner.generate({
    ...unseeded,
    ...drawn,
    ...(mask === undefined ? { image: tensor } : { latents: tensor }),
    denoisingStart: refinerStart,
  });
  // The picture is the base model's; what the refiner adds to its recipe goes behind it.
  const { name, fingerprint } = refiner.model as ModelName;
  const named = name === undefined ? '' : `Refiner: ${name}, `;
  const end = `${named}Refiner fingerprint: ${fingerprint}, Refiner switch at: ${refinerStart}`;
  const settings = first.settings.map((text) => `${text}, ${end}`);
  for (const [i, image] of second.images.entries()) image.metadata = { parameters: settings[i] as string };
  return resultOf({
    ...second,
    settings,
    stats: addStats(first.stats, second.stats),
    notes: [...new Set([...first.notes, ...second.notes])],
  });
}

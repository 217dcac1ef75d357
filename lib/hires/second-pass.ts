import { DeepCacheError, invalidArgument } from '../errors.js';
import type { ImageInput } from '../images/input.js';
import { type InterpolationMode, interpolate } from '../images/interpolate.js';
import type { AnyFamily } from '../pipelines/family.js';
import type { TextRunOptions } from '../pipelines/inputs/options.js';
import { jsonSeeds, type SeedOptions, seedsOf, tellSeeds, toSeed } from '../pipelines/inputs/seeds.js';
import type { ModelFacts } from '../pipelines/loading/facts.js';
import { type GenerateResult, resultOf } from '../pipelines/outputs/result.js';
import { settingsLine } from '../pipelines/outputs/settings.js';
import { addStats } from '../pipelines/outputs/stats.js';
import { checkRun, run } from '../pipelines/run.js';
import type { Scheduler } from '../schedulers/index.js';
import { inSlices } from '../slices.js';
import type { Tensor } from '../tensor.js';
import { checkUpscaled, runUpscaled } from '../upscale/after-run.js';
import { openUpscaler } from '../upscale/open.js';
import type { Upscaler } from '../upscale/upscaler.js';
import { hiresFields } from './fields.js';
import { type HiresFix, isInterpolation } from './options.js';

// A picture of the model's own size, enlarged, and denoised from the middle of the schedule on: details of a size that
// the model never saw, on a composition that it did.

type Given = SeedOptions & {
  readonly hiresFix?: HiresFix | undefined;
  readonly signal?: AbortSignal | undefined;
};
type Pipeline = Parameters<typeof run>[1];

/** Throws what is wrong with the options of a run and of its second pass, as `checkRun` does. */
export function checkPasses(family: AnyFamily, given: object, facts: ModelFacts, own: Scheduler): void {
  const first = checkRun(family, given, facts, own) as TextRunOptions;
  checkUpscaled(given);
  const { hiresFix } = given as Given;
  if (hiresFix === undefined) return;
  const [, channels, height, width] = first.latent;
  const most = Math.trunc(MOST_SIDE / facts.scale);
  if (enlarged(Math.max(height, width), hiresFix) > most) {
    throw invalidArgument('hiresFix.scale', `makes pictures of more than ${MOST_SIDE} pixels in an axis`);
  }
  const shape = [1, channels, enlarged(height, hiresFix), enlarged(width, hiresFix)];
  const image = { data: new Float32Array(shape.reduce((a, b) => a * b)), shape };
  try {
    checkRun(secondOf(family), secondOptions(given as Given, image, sizeOf(image, facts.scale)), facts, own);
  } catch (error) {
    if (!(error instanceof DeepCacheError)) throw error;
    throw invalidArgument('hiresFix', `makes a second pass that cannot be run: ${error.message}`, {
      cause: error,
    });
  }
}

/** A run, its second pass where options ask for one, and what is done to the pictures then. */
export function runPasses(family: AnyFamily, pipeline: Pipeline, given: Given): Promise<GenerateResult> {
  return runUpscaled(pipeline.parts.backend, given, (one) => bothPasses(family, pipeline, one));
}

async function bothPasses(family: AnyFamily, pipeline: Pipeline, given: Given): Promise<GenerateResult> {
  const { hiresFix, signal, seeds: many } = given as Given;
  if (hiresFix === undefined) return run(family, pipeline, given);
  const { upscaler = 'bilinear' } = hiresFix;
  using network = isInterpolation(upscaler)
    ? undefined
    : await openUpscaler(upscaler, pipeline.parts.backend, signal);
  const seeds = seedsOf(given);
  const named = many ? { seeds } : { seed: seeds[0] };
  const output = network ? 'image' : 'latent';
  const first = await run(family, pipeline, { ...given, ...named, hiresFix: undefined, output });

  const { scale } = family.facts(pipeline.parts);
  const next = seeds.map((seed) =>
    hiresFix.seed === undefined ? nextSeed(seed) : toSeed('seed', hiresFix.seed),
  );
  const { image, size } = network
    ? await byNetwork(first, network.upscaler, hiresFix, scale, signal)
    : await byLatents(first, upscaler as InterpolationMode, hiresFix, scale, signal);
  const options = secondOptions(given as Given, image, size);
  const drawn = many ? { seeds: next } : { seed: next[0] };
  const second = await run(secondOf(family), pipeline, { ...options, ...drawn });
  return together(first, second, { ...WHOLE, ...hiresFix, upscaler }, next);
}

/** Pixels in an axis. */
const MOST_SIDE = 16_384;
const WHOLE = { scale: 2, strength: 0.7 };

function secondOf(family: AnyFamily): AnyFamily {
  if (!family.second)
    throw new DeepCacheError('ERR_DEEPCACHE_INTERNAL', `${family.className} has no second pass`);
  return family.second();
}

const enlarged = (extent: number, { scale = WHOLE.scale }: HiresFix) => Math.trunc(extent * scale);

/** In pixels, of latents. */
function sizeOf({ shape: [, , height = 0, width = 0] }: Tensor, scale: number) {
  return { width: width * scale, height: height * scale };
}

function secondOptions(given: Given, image: ImageInput, size: { width: number; height: number }): object {
  const { hiresFix = {}, latents: _, seed: _seed, seeds: _seeds, ...rest } = given;
  const { strength = WHOLE.strength, steps } = hiresFix;
  const { numInferenceSteps: _n, timesteps: _t, sigmas: _s, ...unstepped } = rest as Record<string, unknown>;
  return { ...(steps === undefined ? rest : { ...unstepped, steps }), ...size, image, strength };
}

async function byLatents(
  { tensor }: GenerateResult,
  mode: InterpolationMode,
  hires: HiresFix,
  scale: number,
  signal: AbortSignal | undefined,
) {
  const latents = tensor as Tensor;
  const [, , height = 0, width = 0] = latents.shape;
  const wanted = { width: enlarged(width, hires), height: enlarged(height, hires) };
  const image = await inSlices(interpolate(latents, wanted, mode, hires.antialias), signal);
  return { image, size: sizeOf(image, scale) };
}

/** The network's own factor may be another one: what it makes is brought to the size. */
async function byNetwork(
  { images }: GenerateResult,
  upscaler: Upscaler,
  hires: HiresFix,
  scale: number,
  signal: AbortSignal | undefined,
) {
  const image = [];
  for (const small of images) image.push(await upscaler.upscale(small, { ...(signal && { signal }) }));
  const [{ width, height } = { width: 0, height: 0 }] = images;
  const size = {
    width: enlarged(width / scale, hires) * scale,
    height: enlarged(height / scale, hires) * scale,
  };
  return { image, size };
}

const nextSeed = (seed: bigint) => BigInt.asIntN(64, seed + 1n);

/** The second pass's pictures, with the recipe of both. */
function together(
  first: GenerateResult,
  second: GenerateResult,
  hires: HiresFix,
  seeds: readonly bigint[],
): GenerateResult {
  const told = jsonSeeds(tellSeeds(seeds));
  const settings = first.settings.map((text, i) => {
    const fields = hiresFields(hires, told[told.length === 1 ? 0 : i] as never);
    return `${text}, ${settingsLine(fields)}`;
  });
  for (const [i, image] of second.images.entries()) image.metadata = { parameters: settings[i] as string };
  return resultOf({
    ...second,
    settings,
    seeds: first.seeds,
    // Both passes have the same models.
    stats: { ...addStats(first.stats, second.stats), memory: second.stats.memory },
    notes: [...new Set([...first.notes, ...second.notes])],
  });
}

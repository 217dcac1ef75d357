import type { Scheduler } from '../schedulers/index.js';
import type { ResolvedOptions } from './options.js';
import { tellSeeds } from './seeds.js';

/**
 * The settings of an image as a line of text for its file, in the form that image tools know from the field: the
 * prompt, the negative prompt, then comma-separated names and values.
 */
export function settingsOf(
  options: ResolvedOptions,
  scheduler: Scheduler,
  seeds: readonly bigint[],
  image: number,
): string {
  const { prompts, negativePrompts, numImages, steps, guidanceScale, guidanceRescale, width, height, cache } =
    options;
  const prompt = Math.floor(image / numImages);
  const negative = negativePrompts?.[negativePrompts.length === 1 ? 0 : prompt];
  const fields: Record<string, unknown> = {
    Steps: steps,
    Sampler: scheduler.className.replace(/Scheduler$/, ''),
    'CFG scale': guidanceScale,
    ...(guidanceRescale > 0 && { 'CFG rescale': guidanceRescale }),
    Seed: tellSeeds(seeds)[seeds.length === 1 ? 0 : image],
    // One generator draws for the whole batch: the place in it is part of the recipe.
    ...(seeds.length === 1 && options.batch > 1 && { 'Batch size': options.batch, 'Batch position': image }),
    Size: `${width}x${height}`,
    ...(options.clipSkip > 0 && { 'Clip skip': options.clipSkip }),
    ...(options.longPrompts && { 'Long prompts': true }),
    ...(options.promptWeighting && { 'Prompt weighting': true }),
    ...(options.tiling && { 'VAE tiles': `${options.tiling.tile} overlap ${options.tiling.overlap}` }),
    ...(options.eta && { Eta: options.eta }),
    ...(cache && { DeepCache: typeof cache === 'string' ? cache : JSON.stringify(cache) }),
  };
  const line = Object.entries(fields).map(([name, value]) => `${name}: ${String(value)}`);
  return [
    prompts?.[prompt] ?? '(encoded prompt)',
    ...(negative ? [`Negative prompt: ${negative}`] : []),
    line.join(', '),
  ].join('\n');
}

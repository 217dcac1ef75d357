import { invalidArgument } from '../errors.js';
import { INTERPOLATION_MODES, type InterpolationMode } from '../images/interpolate.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import { flag, real, whole } from '../options/checks.js';
import { type Seed, toSeed } from '../pipelines/inputs/seeds.js';
import { isUpscaler } from '../upscale/option.js';
import type { Upscaler } from '../upscale/upscaler.js';

/** A second pass over the enlarged picture, for details that the first was too small for ("hires fix"). */
export interface HiresFix {
  /** How much larger the picture becomes in each axis, above 1 and at most 8. Default 2. */
  scale?: number;
  /** How much of the schedule the second pass runs, above 0 and at most 1. Default 0.7. */
  strength?: number;
  /** Steps of its schedule. Default: the run's. */
  steps?: number;
  /**
   * What enlarges: latents, by interpolation (default 'bilinear'), or pixels, by an {@link Upscaler} or the path of its
   * file.
   */
  upscaler?: InterpolationMode | Upscaler | (string & {});
  /** Interpolates as Pillow does, which differs for 'bilinear' and 'bicubic' alone. Default false. */
  antialias?: boolean;
  /** Of the second pass. Default: the run's seed and 1. */
  seed?: Seed;
}

const NAMES = ['scale', 'strength', 'steps', 'upscaler', 'antialias', 'seed'];

/** Whether latents are interpolated. */
export function isInterpolation(upscaler: HiresFix['upscaler']): upscaler is InterpolationMode | undefined {
  return upscaler === undefined || (INTERPOLATION_MODES as readonly unknown[]).includes(upscaler);
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the field. */
export function checkHiresFix(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(
      name,
      `must be an object, such as { scale: 1.5, strength: 0.6 }, got ${show(value)}`,
    );
  }
  checkNames(value, NAMES, `${name}.`);
  const { scale, strength, steps, upscaler, antialias, seed } = value as HiresFix;
  if (real(`${name}.scale`, scale, 2, 1, 8) === 1)
    throw invalidArgument(`${name}.scale`, 'must be above 1, got 1');
  if (real(`${name}.strength`, strength, 0.7, 0, 1) === 0)
    throw invalidArgument(`${name}.strength`, 'must be above 0, got 0');
  whole(`${name}.steps`, steps, 1, 1, 100_000);
  if (antialias !== undefined) flag(`${name}.antialias`, antialias);
  if (antialias && upscaler !== undefined && upscaler !== 'bilinear' && upscaler !== 'bicubic')
    throw invalidArgument(`${name}.antialias`, "is for the upscalers 'bilinear' and 'bicubic'");
  if (seed !== undefined) toSeed(`${name}.seed`, seed);
  if (upscaler === undefined || isUpscaler(upscaler)) return;
  throw invalidArgument(
    `${name}.upscaler`,
    `must be one of ${INTERPOLATION_MODES.join(', ')}, an Upscaler or the path of its file, got ${show(upscaler)}`,
  );
}

import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { FrameWindows } from '../native/types.js';
import { whole } from './checks.js';

const WEIGHTINGS = ['pyramid', 'flat', 'delayed_reverse_sawtooth'] as const;
const NOISES = ['shuffle_context', 'repeat_context', 'random'] as const;

/** How a video longer than motion modules take is made; names and values are diffusers' (enable_free_noise). */
export interface FreeNoiseOptions {
  /** Frames that the motion modules see at once. Default: 16, or what they take at most. */
  contextLength?: number;
  /** Frames from one window to the next, at most contextLength. Default 4. */
  contextStride?: number;
  /** How frames count that several windows give, by their place in each. Default 'pyramid'. */
  weightingScheme?: (typeof WEIGHTINGS)[number];
  /**
   * What the video starts from: noise whose later frames are those of contextLength before, shuffled (default), or
   * 'random', noise of its own for each. 'repeat_context' is the same as 'random', as it is in diffusers, which draws
   * all frames for it, too.
   */
  noiseType?: (typeof NOISES)[number];
}

/** The same with defaults. */
export interface FreeNoise {
  readonly windows: FrameWindows;
  readonly noiseType: (typeof NOISES)[number];
}

/** Windows that native code takes. */
const MAX_LENGTH = 128;

/**
 * Reads the option `freeNoise`.
 *
 * @param frames of the video; undefined: not known yet.
 * @param maxFrames that motion modules take.
 */
export function toFreeNoise(
  value: unknown,
  { frames = 512, maxFrames = MAX_LENGTH }: { frames?: number; maxFrames?: number },
): FreeNoise | undefined {
  if (value === undefined || value === false) return undefined;
  if (value !== true && (typeof value !== 'object' || value === null || Array.isArray(value))) {
    const fields = 'contextLength, contextStride, weightingScheme, noiseType';
    throw invalidArgument('freeNoise', `must be true, false or { ${fields} }, got ${show(value)}`);
  }
  const given: FreeNoiseOptions & object = value === true ? {} : value;
  checkNames(given, ['contextLength', 'contextStride', 'weightingScheme', 'noiseType'], 'freeNoise.');
  const most = Math.min(maxFrames, MAX_LENGTH, frames);
  const length = whole('freeNoise.contextLength', given.contextLength, Math.min(16, most), 1, most);
  const stride = whole('freeNoise.contextStride', given.contextStride, Math.min(4, length), 1, length);
  return {
    windows: { length, stride, weighting: oneOf('weightingScheme', WEIGHTINGS, given.weightingScheme) },
    noiseType: oneOf('noiseType', NOISES, given.noiseType),
  };
}

function oneOf<T extends string>(name: string, values: readonly [T, ...T[]], value: T | undefined): T {
  if (value === undefined) return values[0];
  if (values.includes(value)) return value;
  const list = values.map((one) => `'${one}'`).join(', ');
  throw invalidArgument(`freeNoise.${name}`, `must be one of ${list}, got ${show(value)}`);
}

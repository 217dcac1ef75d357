import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { real } from './checks.js';

/** Height and width, or top and left, in pixels: diffusers' order. */
export type Pair = readonly [number, number];

/** SDXL's conditions besides text: what the training picture was like that the result should be like. */
export interface XLSizeOptions {
  /** [height, width] of the picture before it was cut to size. Default: the result's. */
  originalSize?: Pair;
  /** [top, left] of the cut. Default [0, 0]. */
  cropsCoordsTopLeft?: Pair;
  /** [height, width] after it. Default: the result's. */
  targetSize?: Pair;
  /** The same for the negative half of the guidance. */
  negativeOriginalSize?: Pair;
  negativeCropsCoordsTopLeft?: Pair;
  negativeTargetSize?: Pair;
  /** Refiner: how much people liked it, 0 to 10. Default 6, and 2.5 for the negative half. */
  aestheticScore?: number;
  negativeAestheticScore?: number;
}

export const XL_SIZE_OPTIONS: readonly (keyof XLSizeOptions)[] = [
  'originalSize',
  'cropsCoordsTopLeft',
  'targetSize',
  'negativeOriginalSize',
  'negativeCropsCoordsTopLeft',
  'negativeTargetSize',
  'aestheticScore',
  'negativeAestheticScore',
];

/**
 * The numbers that SDXL embeds (diffusers: _get_add_time_ids): original size, crop, target size, or for models with
 * aesthetic scores original size, crop, score.
 */
export function timeIds(
  options: XLSizeOptions,
  { width, height, aesthetic }: { width: number; height: number; aesthetic: boolean },
): { positive: number[]; negative: number[] } {
  const size: Pair = [height, width];
  const original = pair('originalSize', options.originalSize, size);
  const target = pair('targetSize', options.targetSize, size);
  const crop = pair('cropsCoordsTopLeft', options.cropsCoordsTopLeft, [0, 0]);
  const negativeCrop = pair('negativeCropsCoordsTopLeft', options.negativeCropsCoordsTopLeft, [0, 0]);
  const negativeOriginal = pair('negativeOriginalSize', options.negativeOriginalSize, original);
  const negativeTarget = pair('negativeTargetSize', options.negativeTargetSize, target);
  const score = real('aestheticScore', options.aestheticScore, 6, 0, 100);
  const negativeScore = real('negativeAestheticScore', options.negativeAestheticScore, 2.5, 0, 100);
  if (aesthetic) {
    return {
      positive: [...original, ...crop, score],
      negative: [...negativeOriginal, ...negativeCrop, negativeScore],
    };
  }
  const positive = [...original, ...crop, ...target];
  // diffusers has negative sizes count only together.
  const own = options.negativeOriginalSize !== undefined && options.negativeTargetSize !== undefined;
  return { positive, negative: own ? [...negativeOriginal, ...negativeCrop, ...negativeTarget] : positive };
}

function pair(name: string, value: unknown, fallback: Pair): Pair {
  if (value === undefined) return fallback;
  const fits = Array.isArray(value) && value.length === 2 && value.every((v) => Number.isFinite(v) && v >= 0);
  if (fits) return value as unknown as Pair;
  throw invalidArgument(
    name,
    `must be two numbers from 0, [height, width] or [top, left], got ${show(value)}`,
  );
}

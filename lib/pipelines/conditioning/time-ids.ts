import type { Pair } from '../../options/kinds.js';
import type { OptionsOf } from '../../options/spec/index.js';

export const XL_SIZE_OPTIONS = [
  'originalSize',
  'cropsCoordsTopLeft',
  'targetSize',
  'negativeOriginalSize',
  'negativeCropsCoordsTopLeft',
  'negativeTargetSize',
  'aestheticScore',
  'negativeAestheticScore',
] as const;

/** SDXL's conditions besides text: what the training picture was like that the result should be like. */
export type XLSizeOptions = Pick<OptionsOf<'xl'>, (typeof XL_SIZE_OPTIONS)[number]>;

/**
 * The numbers that SDXL embeds (diffusers: _get_add_time_ids): original size, crop, target size, or for models with
 * aesthetic scores original size, crop, score.
 */
export function timeIds(
  options: XLSizeOptions,
  { width, height, aesthetic }: { width: number; height: number; aesthetic: boolean },
): { positive: number[]; negative: number[] } {
  const size: Pair = [height, width];
  const original = options.originalSize ?? size;
  const target = options.targetSize ?? size;
  const crop = options.cropsCoordsTopLeft ?? [0, 0];
  const negativeCrop = options.negativeCropsCoordsTopLeft ?? [0, 0];
  const negativeOriginal = options.negativeOriginalSize ?? original;
  const negativeTarget = options.negativeTargetSize ?? target;
  const score = options.aestheticScore ?? 6;
  const negativeScore = options.negativeAestheticScore ?? 2.5;
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

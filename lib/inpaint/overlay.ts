import { Image } from '../images/image.js';
import { blank, paste } from '../images/paste.js';
import { forEachIndex, inSlices } from '../slices.js';
import type { Region } from './crop-region.js';
import { resizeAndCrop } from './fit.js';

/**
 * The original over a result, as far as the mask is black; between black and white both count (diffusers:
 * VaeImageProcessor.apply_overlay, with the 8-bit arithmetic of Pillow).
 *
 * @param mask gray, of the original's size.
 * @param region of the original that the result shows; all of it by default.
 */
export async function overlaid(
  original: Image,
  mask: Image,
  result: Image,
  region?: Region,
  signal?: AbortSignal,
): Promise<Image> {
  const { width, height } = original;
  const below = region ? await placed(result, region, original, signal) : result;
  const data = new Uint8Array(original.data.length);
  const write = (i: number) => {
    const alpha = 255 - (mask.data[i] as number);
    // The original is multiplied by its share and divided again, which rounds it.
    const share = divided((original.data[i] as number) * alpha);
    const above = alpha === 0 ? 0 : Math.min(255, Math.floor((255 * share) / alpha));
    const sum = above * alpha + (below.data[i] as number) * (255 - alpha);
    data[i] = divided(sum);
  };
  await inSlices(forEachIndex(data.length, write), signal);
  return new Image({ width, height, data });
}

/** By 255, rounded. */
function divided(value: number): number {
  const moved = value + 128;
  return ((moved >> 8) + moved) >> 8;
}

/** A result at its place, with black around it. */
async function placed(
  result: Image,
  { left, top, right, bottom }: Region,
  size: Image,
  signal?: AbortSignal,
) {
  const part = await resizeAndCrop(result, { width: right - left, height: bottom - top }, signal);
  return inSlices(paste(blank(size), part, left, top), signal);
}

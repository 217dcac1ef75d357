import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';

/** Mean squared difference of all 8-bit values, all three channels together: from 0 to 255^2. */
export function meanSquaredError(image: Image, reference: Image): number {
  requireSameSize(image, reference);
  let sum = 0;
  for (let i = 0; i < image.data.length; i++) {
    sum += ((image.data[i] as number) - (reference.data[i] as number)) ** 2;
  }
  return sum / image.data.length;
}

/**
 * Peak signal-to-noise ratio in decibels of 8-bit RGB, 10 log10(255^2 / MSE), with the mean squared error over pixels
 * and channels together. Infinity for equal images; above 40 dB differences are hard to see.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for images of different sizes.
 */
export function psnr(image: Image, reference: Image): number {
  return toDecibels(meanSquaredError(image, reference));
}

/** PSNR of 8-bit values whose mean squared error is known, for instance that of several images together. */
export function toDecibels(meanSquaredError: number): number {
  return 10 * Math.log10(255 ** 2 / meanSquaredError);
}

export function requireSameSize(image: Image, reference: Image): void {
  if (image.width === reference.width && image.height === reference.height) return;
  throw invalidArgument(
    'image',
    `is ${image.width}x${image.height}, the reference ${reference.width}x${reference.height}`,
  );
}

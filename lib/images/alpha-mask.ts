import type { RawImage } from './input.js';
import { loadSharp } from './sharp.js';

/**
 * Masks of OpenAI and others say by transparency what is to be painted anew: white here, where a picture can be seen
 * through.
 *
 * @param bytes of a picture that was found to be one.
 * @param inputPixels the most that are unpacked.
 * @returns undefined for a picture that cannot be seen through anywhere.
 */
export async function maskOfAlpha(bytes: Uint8Array, inputPixels: number): Promise<RawImage | undefined> {
  const sharp = await loadSharp();
  const picture = sharp(bytes, { limitInputPixels: inputPixels });
  if ((await picture.stats()).isOpaque) return undefined;
  const { data, info } = await picture
    .autoOrient()
    .extractChannel('alpha')
    .negate()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: 1 };
}

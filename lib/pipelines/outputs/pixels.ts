import { floatsToPixels } from '../../images/floats.js';
import { Image } from '../../images/image.js';
import { forEachIndex, inSlices, mapParts, type Sliced } from '../../slices.js';
import type { Tensor } from '../../tensor.js';

/** Pixels from -1 to 1 as ones from 0 to 1, written to `out`. */
export function toUnit(pixels: Float32Array, out: Float32Array): Sliced<void> {
  return forEachIndex(pixels.length, (i) => {
    out[i] = Math.min(1, Math.max(0, (pixels[i] as number) / 2 + 0.5));
  });
}

/** The same in a new array, rounded as (value + 1) / 2. */
export function toUnitPixels(pixels: Float32Array): Sliced<Float32Array> {
  return mapParts(pixels, (value) => Math.min(1, Math.max(0, (value + 1) / 2)));
}

/** Pixels from 0 to 1 as ones from -1 to 1. */
export function toSigned(pixels: Float32Array): Sliced<Float32Array> {
  return mapParts(pixels, (value) => 2 * value - 1);
}

/** Pixels [n, 3, h, w] from 0 to 1 as pictures. */
export async function toImages({ data, shape }: Tensor, signal?: AbortSignal): Promise<Image[]> {
  const [count = 0, , height = 0, width = 0] = shape;
  const size = 3 * height * width;
  const images: Image[] = [];
  for (let i = 0; i < count; i++) {
    const pixels = floatsToPixels(data.subarray(i * size, (i + 1) * size), 'unit');
    images.push(new Image({ width, height, data: await inSlices(pixels, signal) }));
  }
  return images;
}

/** Pictures of a result, each with what it was made with in its file: the frames of a video have one text. */
export async function toPictures(
  pixels: Tensor,
  settings: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Image[]> {
  const images = await toImages(pixels, signal);
  for (const [i, image] of images.entries()) {
    image.metadata = { parameters: settings[Math.floor((i * settings.length) / images.length)] as string };
  }
  return images;
}

import type { Sliced } from '../slices.js';
import { Image } from './image.js';

/** A black picture. */
export function blank({ width, height }: { readonly width: number; readonly height: number }): Image {
  return new Image({ width, height, data: new Uint8Array(3 * width * height) });
}

/** Copies a picture's pixels over another one's, from a place that may lie outside; what stands over is left out. */
export function* paste(onto: Image, image: Image, left: number, top: number): Sliced<Image> {
  const from = Math.max(0, -left);
  const columns = Math.min(image.width, onto.width - left) - from;
  for (let y = Math.max(0, -top); y < Math.min(image.height, onto.height - top) && columns > 0; y++) {
    const start = 3 * (y * image.width + from);
    const target = 3 * ((top + y) * onto.width + left + from);
    onto.data.set(image.data.subarray(start, start + 3 * columns), target);
    yield;
  }
  return onto;
}

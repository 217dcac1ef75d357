import { inSlices } from '../slices.js';
import type { Tensor } from '../tensor.js';
import { normalizeUnit } from './clip-resize.js';
import { pixelsToFloats } from './floats.js';
import { Image } from './image.js';
import { resizeBicubic } from './resize.js';

/**
 * A picture as CLIP's image encoder reads it [1, 3, size, size] (transformers: CLIPImageProcessor): its shorter side is
 * resized, its middle cut out, and its values normalised.
 */
export async function clipPixels(picture: Image, size: number, signal?: AbortSignal): Promise<Tensor> {
  const { width, height } = picture;
  const short = Math.min(width, height);
  const scaled = (side: number) => (side === short ? size : Math.trunc((size * side) / short));
  const resized = await resizeBicubic(picture, scaled(width), scaled(height), signal);
  const data = new Float32Array(3 * size * size);
  await inSlices(pixelsToFloats(middle(resized, size).data, 'unit', data), signal);
  return normalizeUnit({ data, shape: [1, 3, size, size] });
}

function middle({ data, width, height }: Image, size: number): Image {
  const [left, top] = [Math.floor((width - size) / 2), Math.floor((height - size) / 2)];
  const cut = new Uint8Array(3 * size * size);
  for (let y = 0; y < size; y++) {
    const from = 3 * ((top + y) * width + left);
    cut.set(data.subarray(from, from + 3 * size), 3 * size * y);
  }
  return new Image({ width: size, height: size, data: cut });
}

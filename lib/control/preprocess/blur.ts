import { Image } from '../../images/image.js';
import type { Sliced } from '../../slices.js';

/** Blurs by a Gaussian of the standard deviation in pixels, up to three of which count; edges are mirrored. */
export function* blur(image: Image, sigma: number): Sliced<Image> {
  const { width, height } = image;
  const radius = Math.max(1, Math.round(3 * sigma));
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  const across = new Float32Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let value = 0;
        for (let i = -radius; i <= radius; i++) {
          const from = 3 * (y * width + mirrored(x + i, width)) + c;
          value += (weights[i + radius] as number) * (image.data[from] as number);
        }
        across[3 * (y * width + x) + c] = value / sum;
      }
    }
    yield;
  }
  // This array type rounds and clamps by itself.
  const data = new Uint8ClampedArray(across.length);
  for (let y = 0; y < height; y++) {
    for (let at = 0; at < 3 * width; at++) {
      let value = 0;
      for (let i = -radius; i <= radius; i++) {
        value +=
          (weights[i + radius] as number) * (across[3 * width * mirrored(y + i, height) + at] as number);
      }
      data[3 * width * y + at] = value / sum;
    }
    yield;
  }
  return new Image({ width, height, data: new Uint8Array(data.buffer) });
}

/** The place of a mirrored pixel: the one at the edge stands once. */
function mirrored(at: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((at % period) + period) % period;
  return place < length ? place : period - place;
}

import { PART, type Sliced } from '../slices.js';

/** What the floats of an image mean: black to white is 0 to 1 (pipelines) or -1 to 1 (the VAE). */
export type FloatRange = 'unit' | 'signed';

/**
 * Planes [3, height, width] as 8-bit pixels [height, width, 3], rounded as diffusers does (half to even, clamped).
 * 8192x8192 pixels take more than half a second in one go.
 */
export function* floatsToPixels(values: Float32Array, range: FloatRange): Sliced<Uint8Array> {
  const pixels = values.length / 3;
  // This array type clamps and rounds half to even by itself, and turns NaN into 0.
  const data = new Uint8ClampedArray(values.length);
  for (let channel = 0; channel < 3; channel++) {
    for (let start = 0; start < pixels; start += PART) {
      const end = Math.min(pixels, start + PART);
      for (let pixel = start; pixel < end; pixel++) {
        const value = values[channel * pixels + pixel] as number;
        const unit = range === 'unit' ? value : Math.fround(value / 2 + 0.5);
        data[pixel * 3 + channel] = Math.fround(unit * 255);
      }
      yield;
    }
  }
  return new Uint8Array(data.buffer);
}

/** The inverse, into `values` where they are given. */
export function* pixelsToFloats(
  data: Uint8Array,
  range: FloatRange,
  values: Float32Array = new Float32Array(data.length),
): Sliced<Float32Array> {
  const pixels = data.length / 3;
  for (let channel = 0; channel < 3; channel++) {
    for (let start = 0; start < pixels; start += PART) {
      const end = Math.min(pixels, start + PART);
      for (let pixel = start; pixel < end; pixel++) {
        const unit = (data[pixel * 3 + channel] as number) / 255;
        values[channel * pixels + pixel] = range === 'unit' ? unit : unit * 2 - 1;
      }
      yield;
    }
  }
  return values;
}

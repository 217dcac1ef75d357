import { Image } from './image.js';

/** Pixels of the source that one pixel of the result is made of. */
interface Taps {
  first: number;
  /** Fixed-point weights that add up to 1. */
  weights: Int32Array;
}

// The weights' fraction bits, and the filter's radius, as in Pillow's resampling of 8-bit images.
const BITS = 22;
const RADIUS = 3;

/**
 * Resizes as Pillow's `Image.resize(size, LANCZOS)` does, bit for bit, which diffusers uses for its inputs: a
 * windowed sinc that widens when the picture shrinks, rows first, rounded to 8 bits between the passes.
 */
export function resizeLanczos(image: Image, width: number, height: number): Image {
  if (image.width === width && image.height === height) return image;
  const { channels, metadata } = image;
  const rows = horizontal(image.data, image.width, image.height, lanczosTaps(image.width, width), channels);
  const data = vertical(rows, width, lanczosTaps(image.height, height), channels);
  return new Image({ width, height, data, metadata });
}

function lanczosTaps(from: number, to: number): Taps[] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = RADIUS * stretch;
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const values = Array.from({ length: end - first }, (_, k) =>
      lanczos((k + first - center + 0.5) / stretch),
    );
    const sum = values.reduce((a, b) => a + b, 0);
    const weights = values.map((value) => {
      const fixed = (value / sum) * 2 ** BITS;
      return Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
    return { first, weights: Int32Array.from(weights) };
  });
}

function lanczos(x: number): number {
  return Math.abs(x) < RADIUS ? sinc(x) * sinc(x / RADIUS) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function horizontal(
  data: Uint8Array,
  width: number,
  height: number,
  taps: Taps[],
  channels: number,
): Uint8Array {
  const out = new Uint8Array(taps.length * height * channels);
  for (let y = 0, to = 0; y < height; y++) {
    for (const { first, weights } of taps) {
      for (let c = 0; c < channels; c++) {
        let sum = 2 ** (BITS - 1);
        let from = (y * width + first) * channels + c;
        for (const weight of weights) {
          sum += (data[from] as number) * weight;
          from += channels;
        }
        out[to++] = clip(sum);
      }
    }
  }
  return out;
}

function vertical(data: Uint8Array, width: number, taps: Taps[], channels: number): Uint8Array {
  const row = width * channels;
  const out = new Uint8Array(taps.length * row);
  taps.forEach(({ first, weights }, y) => {
    for (let x = 0; x < row; x++) {
      let sum = 2 ** (BITS - 1);
      let from = first * row + x;
      for (const weight of weights) {
        sum += (data[from] as number) * weight;
        from += row;
      }
      out[y * row + x] = clip(sum);
    }
  });
  return out;
}

function clip(sum: number): number {
  return Math.min(255, Math.max(0, Math.floor(sum / 2 ** BITS)));
}

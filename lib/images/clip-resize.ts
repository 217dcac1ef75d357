import type { Sliced } from '../slices.js';
import type { Tensor } from '../tensor.js';

// The mean and deviation of CLIP's training pictures, as its own preprocessing has them.
const MEAN = [0.48145466, 0.4578275, 0.40821073];
const DEVIATION = [0.26862954, 0.26130258, 0.27577711];

const f32 = Math.fround;

/**
 * Resizes a picture [1, c, h, w] with values from -1 to 1 to a square, as Stable Video Diffusion does for CLIP: a
 * Gaussian blur whose width grows with the reduction, then bicubic interpolation with the corners kept (diffusers:
 * _resize_with_antialiasing).
 */
export function* resizeAntialiased({ data, shape }: Tensor, size: number): Sliced<Tensor> {
  const [, channels = 0, height = 0, width = 0] = shape;
  const out = new Float32Array(channels * size * size);
  const across = [blurFilter(width, size), cubicFilter(width, size)] as const;
  const down = [blurFilter(height, size), cubicFilter(height, size)] as const;
  for (let c = 0; c < channels; c++) {
    let plane: Plane = {
      data: data.subarray(c * height * width, (c + 1) * height * width),
      width,
      height,
    };
    for (const i of [0, 1] as const) {
      plane = yield* filterRows(plane, across[i]);
      plane = yield* transpose(yield* filterRows(yield* transpose(plane), down[i]));
    }
    out.set(plane.data, c * size * size);
  }
  return { data: out, shape: [1, channels, size, size] };
}

/** Values from -1 to 1 -> CLIP's normalised ones. */
export function normalizeForClip({ data, shape }: Tensor): Tensor {
  return normalizeUnit({ data: data.map((value) => (value + 1) / 2), shape });
}

/** The same of values from 0 to 1. */
export function normalizeUnit({ data, shape }: Tensor): Tensor {
  const [, channels = 0, height = 0, width = 0] = shape;
  const area = height * width;
  const normal = data.map((value, i) => {
    const channel = Math.floor(i / area) % channels;
    return (value - (MEAN[channel] as number)) / (DEVIATION[channel] as number);
  });
  return { data: normal, shape };
}

interface Plane {
  data: Float32Array;
  width: number;
  height: number;
}

/** What makes a row of values out of another. */
interface Filter {
  /** Of the result. */
  length: number;
  apply(row: Float32Array, out: Float32Array): void;
}

function blurFilter(from: number, to: number): Filter {
  const sigma = Math.max((from / to - 1) / 2, 0.001);
  let length = Math.trunc(Math.max(4 * sigma, 3));
  if (length % 2 === 0) length++;
  const half = (length - 1) / 2;
  const values = Float64Array.from({ length }, (_, i) => Math.exp(-((i - half) ** 2) / (2 * sigma * sigma)));
  const sum = values.reduce((a, b) => a + b, 0);
  const weights = values.map((value) => value / sum);
  const reflect = (i: number) => {
    const period = Math.max(1, 2 * (from - 1));
    const inside = ((i % period) + period) % period;
    return inside < from ? inside : period - inside;
  };
  // The row with its reflections at both ends.
  const places = Int32Array.from({ length: from + 2 * half }, (_, i) => reflect(i - half));
  const padded = new Float32Array(places.length);
  return {
    length: from,
    apply(row, out) {
      for (let i = 0; i < padded.length; i++) padded[i] = row[places[i] as number] as number;
      for (let x = 0; x < from; x++) {
        let sum = 0;
        for (let k = 0; k < length; k++) sum += (padded[x + k] as number) * (weights[k] as number);
        out[x] = sum;
      }
    },
  };
}

function cubicFilter(from: number, to: number): Filter {
  const scale = to > 1 ? f32((from - 1) / (to - 1)) : 0;
  const taps = Array.from({ length: to }, (_, i) => {
    // PyTorch rounds the scale to fp32, and multiplies it without another rounding.
    const place = scale * i;
    const first = Math.floor(place);
    const t = place - first;
    return {
      at: [-1, 0, 1, 2].map((k) => Math.min(from - 1, Math.max(0, first + k))),
      weights: [outer(t + 1), inner(t), inner(1 - t), outer(2 - t)],
    };
  });
  return {
    length: to,
    apply(row, out) {
      for (const [x, { at, weights }] of taps.entries()) {
        let sum = 0;
        for (let k = 0; k < 4; k++) sum += (row[at[k] as number] as number) * (weights[k] as number);
        out[x] = sum;
      }
    },
  };
}

// Keys' cubic convolution with a = -0.75.
const A = -0.75;
const inner = (x: number) => ((A + 2) * x - (A + 3)) * x * x + 1;
const outer = (x: number) => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;

function* filterRows({ data, width, height }: Plane, { length, apply }: Filter): Sliced<Plane> {
  const out = new Float32Array(length * height);
  for (let y = 0; y < height; y++) {
    apply(data.subarray(y * width, (y + 1) * width), out.subarray(y * length, (y + 1) * length));
    yield;
  }
  return { data: out, width: length, height };
}

function* transpose({ data, width, height }: Plane): Sliced<Plane> {
  const out = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) out[x * height + y] = data[y * width + x] as number;
    yield;
  }
  return { data: out, width: height, height: width };
}

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
export function resizeAntialiased({ data, shape }: Tensor, size: number): Tensor {
  const [, channels = 0, height = 0, width = 0] = shape;
  const out = new Float32Array(channels * size * size);
  const across = [blurTaps(width, size), cubicTaps(width, size)] as const;
  const down = [blurTaps(height, size), cubicTaps(height, size)] as const;
  for (let c = 0; c < channels; c++) {
    let plane: Plane = {
      data: data.subarray(c * height * width, (c + 1) * height * width),
      width,
      height,
    };
    plane = filterRows(plane, across[0]);
    plane = transpose(filterRows(transpose(plane), down[0]));
    plane = filterRows(plane, across[1]);
    plane = transpose(filterRows(transpose(plane), down[1]));
    out.set(plane.data, c * size * size);
  }
  return { data: out, shape: [1, channels, size, size] };
}

/** Values from -1 to 1 -> CLIP's normalised ones. */
export function normalizeForClip({ data, shape }: Tensor): Tensor {
  const [, channels = 0, height = 0, width = 0] = shape;
  const area = height * width;
  const normal = data.map((value, i) => {
    const channel = Math.floor(i / area) % channels;
    return (f32((value + 1) / 2) - (MEAN[channel] as number)) / (DEVIATION[channel] as number);
  });
  return { data: normal, shape };
}

interface Plane {
  data: Float32Array;
  width: number;
  height: number;
}

/** For each value of the result, the values that it is made of. */
type Taps = readonly { at: readonly number[]; weights: readonly number[] }[];

function blurTaps(from: number, to: number): Taps {
  const sigma = Math.max((from / to - 1) / 2, 0.001);
  let length = Math.trunc(Math.max(4 * sigma, 3));
  if (length % 2 === 0) length++;
  const half = (length - 1) / 2;
  const values = Array.from({ length }, (_, i) => Math.exp(-((i - half) ** 2) / (2 * sigma * sigma)));
  const sum = values.reduce((a, b) => a + b, 0);
  const weights = values.map((value) => value / sum);
  const reflect = (i: number) => {
    const period = Math.max(1, 2 * (from - 1));
    const inside = ((i % period) + period) % period;
    return inside < from ? inside : period - inside;
  };
  return Array.from({ length: from }, (_, i) => ({
    at: weights.map((_, k) => reflect(i + k - half)),
    weights,
  }));
}

function cubicTaps(from: number, to: number): Taps {
  const scale = to > 1 ? f32((from - 1) / (to - 1)) : 0;
  return Array.from({ length: to }, (_, i) => {
    // PyTorch rounds the scale to fp32, and multiplies it without another rounding.
    const place = scale * i;
    const first = Math.floor(place);
    const t = place - first;
    return {
      at: [-1, 0, 1, 2].map((k) => Math.min(from - 1, Math.max(0, first + k))),
      weights: [outer(t + 1), inner(t), inner(1 - t), outer(2 - t)],
    };
  });
}

// Keys' cubic convolution with a = -0.75.
const A = -0.75;
const inner = (x: number) => ((A + 2) * x - (A + 3)) * x * x + 1;
const outer = (x: number) => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;

function filterRows({ data, width, height }: Plane, taps: Taps): Plane {
  const out = new Float32Array(taps.length * height);
  for (let y = 0; y < height; y++) {
    for (const [x, { at, weights }] of taps.entries()) {
      let sum = 0;
      for (let k = 0; k < at.length; k++) {
        sum += (data[y * width + (at[k] as number)] as number) * (weights[k] as number);
      }
      out[y * taps.length + x] = sum;
    }
  }
  return { data: out, width: taps.length, height };
}

function transpose({ data, width, height }: Plane): Plane {
  const out = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) out[x * height + y] = data[y * width + x] as number;
  }
  return { data: out, width: height, height: width };
}

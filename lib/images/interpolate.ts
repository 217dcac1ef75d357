import { invalidArgument } from '../errors.js';
import type { Sliced } from '../slices.js';
import { newFloats, type Tensor } from '../tensor.js';

/** How values between pixels are found, in torch's words. */
export type InterpolationMode = 'nearest' | 'nearest-exact' | 'bilinear' | 'bicubic' | 'area';
export const INTERPOLATION_MODES = ['nearest', 'nearest-exact', 'bilinear', 'bicubic', 'area'] as const;

/** What a pixel of a result is made of: from `first` on, so many pixels of the input by these weights. */
interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

/**
 * A tensor [n, c, h, w] at another size, as torch.nn.functional.interpolate makes it with align_corners false.
 *
 * @param antialias bilinear and bicubic: reads as many pixels as a smaller one stands for, as Pillow does.
 */
export function* interpolate(
  { data, shape }: Tensor,
  { width, height }: { width: number; height: number },
  mode: InterpolationMode = 'bilinear',
  antialias = false,
): Sliced<Tensor> {
  if (antialias && mode !== 'bilinear' && mode !== 'bicubic') {
    throw invalidArgument('antialias', `is for bilinear and bicubic, not for ${mode}`);
  }
  const [n = 0, c = 0, h = 0, w = 0] = shape;
  const columns = tapsOf(w, width, mode, antialias);
  const rows = tapsOf(h, height, mode, antialias);
  const out = newFloats(n * c * height * width);
  const across = new Float64Array(h * width);
  for (let plane = 0; plane < n * c; plane++) {
    for (let y = 0; y < h; y++) {
      const from = (plane * h + y) * w;
      for (let x = 0; x < width; x++) across[y * width + x] = weighted(data, from, 1, columns[x] as Taps);
    }
    yield;
    for (let y = 0; y < height; y++) {
      const to = (plane * height + y) * width;
      for (let x = 0; x < width; x++) out[to + x] = weighted(across, x, width, rows[y] as Taps);
    }
    yield;
  }
  return { data: out, shape: [n, c, height, width] };
}

function weighted(
  data: Float32Array | Float64Array,
  from: number,
  step: number,
  { first, weights }: Taps,
): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += (weights[i] as number) * (data[from + (first + i) * step] as number);
  }
  return sum;
}

/** For each of `to` pixels of an axis, what of its `from` ones it is made of. */
function tapsOf(from: number, to: number, mode: InterpolationMode, antialias: boolean): Taps[] {
  const ratio = from / to;
  return Array.from({ length: to }, (_, i) => {
    switch (mode) {
      case 'nearest':
        return { first: Math.min(from - 1, Math.floor(Math.fround(i * Math.fround(ratio)))), weights: [1] };
      case 'nearest-exact':
        return { first: Math.min(from - 1, Math.floor((i + 0.5) * ratio)), weights: [1] };
      case 'area': {
        const [first, last] = [Math.floor((i * from) / to), Math.ceil(((i + 1) * from) / to)];
        return { first, weights: new Array<number>(last - first).fill(1 / (last - first)) };
      }
      default: {
        const kernel = mode === 'bilinear' ? triangle : cubic(antialias ? -0.5 : -0.75);
        const reach = mode === 'bilinear' ? 1 : 2;
        const center = (i + 0.5) * ratio;
        return antialias
          ? spread(center, Math.max(1, ratio), reach, kernel, from)
          : sampled(mode === 'bilinear' ? Math.max(0, center - 0.5) : center - 0.5, reach, kernel, from);
      }
    }
  });
}

/** A kernel at a place between pixels; beyond the edges the last pixel is repeated. */
function sampled(at: number, reach: number, kernel: (x: number) => number, size: number): Taps {
  const base = Math.floor(at);
  const inside = (pixel: number) => Math.min(size - 1, Math.max(0, pixel));
  const [first, last] = [inside(base - reach + 1), inside(base + reach)];
  const weights = new Array<number>(last - first + 1).fill(0);
  for (let pixel = base - reach + 1; pixel <= base + reach; pixel++) {
    const place = inside(pixel) - first;
    weights[place] = (weights[place] as number) + kernel(at - pixel);
  }
  return { first, weights };
}

/** A kernel as wide as a pixel of the result; its weights add up to one within the picture. */
function spread(
  center: number,
  scale: number,
  reach: number,
  kernel: (x: number) => number,
  size: number,
): Taps {
  const first = Math.max(0, Math.floor(center - reach * scale + 0.5));
  const last = Math.min(size, Math.floor(center + reach * scale + 0.5));
  const raw = Array.from({ length: last - first }, (_, i) => kernel((first + i - center + 0.5) / scale));
  const sum = raw.reduce((a, b) => a + b, 0);
  return { first, weights: raw.map((weight) => weight / sum) };
}

const triangle = (x: number) => Math.max(0, 1 - Math.abs(x));

/** Keys' cubic convolution. */
const cubic = (a: number) => (x: number) => {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
};

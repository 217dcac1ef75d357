import { inSlices, type Sliced } from '../slices.js';
import { Image } from './image.js';

/** Pixels of the source that one pixel of the result is made of. */
interface Taps {
  first: number;
  /** Fixed-point weights that add up to 1. */
  weights: Int32Array;
}

// The weights' fraction bits as in Pillow's resampling of 8-bit images. sharp's filters round otherwise, and an input that
// differs in one value makes another picture than diffusers does.
const BITS = 22;
const HALF = 2 ** (BITS - 1);

/** What a pixel counts at a distance from the one that is made of it; nothing beyond the radius. */
interface Filter {
  readonly radius: number;
  weight(distance: number): number;
}

const LANCZOS: Filter = {
  radius: 3,
  weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0),
};

/** Keys' cubic convolution with a = -0.5. */
const BICUBIC: Filter = {
  radius: 2,
  weight(distance) {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  },
};

/** Products of pixels and weights at a stretch. */
const MOST_PRODUCTS = 2 ** 14;

/**
 * Resizes as Pillow's `Image.resize(size, LANCZOS)` does, bit for bit, which diffusers uses for its inputs: a
 * windowed sinc that widens when the picture shrinks, rows first, rounded to 8 bits between the passes.
 */
export async function resizeLanczos(
  image: Image,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Image> {
  return inSlices(resizeSlices(image, width, height, LANCZOS), signal);
}

/** The same with BICUBIC, as CLIP's pictures are resized. */
export async function resizeBicubic(
  image: Image,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Image> {
  return inSlices(resizeSlices(image, width, height, BICUBIC), signal);
}

/**
 * One edge of a picture as a margin beside it, as Pillow's `Image.resize(size, BICUBIC, box)` makes it of a box that has
 * no width or no height: every pixel is the same mixture of the two next to the edge.
 */
export async function edgeOf(
  image: Image,
  edge: 'left' | 'right' | 'top' | 'bottom',
  margin: number,
  signal?: AbortSignal,
): Promise<Image> {
  const { width, height } = image;
  const isBeside = edge === 'left' || edge === 'right';
  const [columns, rows] = isBeside ? [margin, height] : [width, margin];
  const end = isBeside ? width : height;
  const line = { start: edge === 'left' || edge === 'top' ? 0 : end, length: 0 };
  const spans = isBeside ? { width: line } : { height: line };
  return inSlices(resizeSlices(image, columns, rows, BICUBIC, spans), signal);
}

/** What a new extent is made of, in pixels: all of the old one, or a part. */
interface Span {
  readonly start: number;
  readonly length: number;
}

/** In parts: a large photo takes a second or two. */
function* resizeSlices(
  image: Image,
  width: number,
  height: number,
  filter: Filter,
  spans: { readonly width?: Span; readonly height?: Span } = {},
): Sliced<Image> {
  const isWhole = !spans.width && !spans.height;
  if (isWhole && image.width === width && image.height === height) return image;
  const { metadata } = image;
  const across = yield* tapsOf(image.width, width, filter, spans.width);
  const rows = yield* horizontal(image.data, image.width, image.height, across);
  const data = yield* vertical(rows, width, yield* tapsOf(image.height, height, filter, spans.height));
  return new Image({ width, height, data, metadata });
}

function* tapsOf(
  from: number,
  to: number,
  filter: Filter,
  { start, length }: Span = { start: 0, length: from },
): Sliced<Taps[]> {
  const scale = length / to;
  const stretch = Math.max(scale, 1);
  const support = filter.radius * stretch;
  const taps: Taps[] = [];
  for (let i = 0; i < to; i++) {
    const center = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const values = new Float64Array(end - first);
    let sum = 0;
    for (let k = 0; k < values.length; k++) {
      const value = filter.weight((k + first - center + 0.5) / stretch);
      values[k] = value;
      sum += value;
      if (k % 1024 === 1023) yield;
    }
    const weights = Int32Array.from(values, (value) => {
      const fixed = (value / sum) * 2 ** BITS;
      return Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
    taps.push({ first, weights });
    yield;
  }
  return taps;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function* horizontal(data: Uint8Array, width: number, height: number, taps: Taps[]): Sliced<Uint8Array> {
  const out = new Uint8Array(taps.length * height * 3);
  let done = 0;
  for (let y = 0, to = 0; y < height; y++) {
    for (const { first, weights } of taps) {
      done += weights.length;
      if (done > MOST_PRODUCTS) {
        yield;
        done = 0;
      }
      let from = (y * width + first) * 3;
      let [r, g, b] = [HALF, HALF, HALF];
      for (let k = 0; k < weights.length; k++, from += 3) {
        const weight = weights[k] as number;
        r += (data[from] as number) * weight;
        g += (data[from + 1] as number) * weight;
        b += (data[from + 2] as number) * weight;
      }
      out[to++] = clip(r);
      out[to++] = clip(g);
      out[to++] = clip(b);
    }
    yield;
  }
  return out;
}

function* vertical(data: Uint8Array, width: number, taps: Taps[]): Sliced<Uint8Array> {
  const row = width * 3;
  const out = new Uint8Array(taps.length * row);
  const sums = new Float64Array(row);
  for (const [y, { first, weights }] of taps.entries()) {
    sums.fill(HALF);
    for (let k = 0; k < weights.length; k++) {
      const weight = weights[k] as number;
      const from = (first + k) * row;
      for (let x = 0; x < row; x++) sums[x] = (sums[x] as number) + (data[from + x] as number) * weight;
      yield;
    }
    for (let x = 0; x < row; x++) out[y * row + x] = clip(sums[x] as number);
    yield;
  }
  return out;
}

function clip(sum: number): number {
  return Math.min(255, Math.max(0, Math.floor(sum / 2 ** BITS)));
}

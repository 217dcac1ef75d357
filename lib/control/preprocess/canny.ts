import { Image } from '../../images/image.js';
import type { Sliced } from '../../slices.js';

/** From which strength of the gradient a pixel may be of an edge, and from which it is. */
export interface CannyThresholds {
  readonly low: number;
  readonly high: number;
}

/** tan(22.5°) with 15 fraction bits, as OpenCV has it. */
const TAN_22 = 13573;

const [MAYBE, EDGE] = [1, 2];

/**
 * Edges, white on black (Canny 1986): the value of each pixel is OpenCV's `Canny(image, low, high)` with its defaults, Sobel
 * of 3x3 and the sum of both gradients' sizes; of colours the channel where that is largest.
 */
export function* canny(image: Image, { low, high }: CannyThresholds): Sliced<Image> {
  const { width, height } = image;
  const [least, sure] = [Math.floor(Math.min(low, high)), Math.floor(Math.max(low, high))];
  const gradient = yield* sobel(image);
  const map = yield* thinned(gradient, least, sure, width, height);
  yield* spread(map, width + 2);
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (map[(y + 1) * (width + 2) + x + 1] === EDGE)
        data.fill(255, 3 * (y * width + x), 3 * (y * width + x) + 3);
    }
    yield;
  }
  return new Image({ width, height, data });
}

/** The gradient of each pixel, and its size, which has a border of zeros. */
interface Gradient {
  readonly dx: Int16Array;
  readonly dy: Int16Array;
  readonly size: Int32Array;
}

function* sobel({ data, width, height }: Image): Sliced<Gradient> {
  const [dx, dy] = [new Int16Array(width * height), new Int16Array(width * height)];
  const size = new Int32Array((width + 2) * (height + 2));
  for (let y = 0; y < height; y++) {
    // Beyond the edge stands the edge.
    const rows = [Math.max(0, y - 1), y, Math.min(height - 1, y + 1)].map((row) => 3 * row * width);
    const [above, here, below] = rows as [number, number, number];
    for (let x = 0; x < width; x++) {
      const left = 3 * Math.max(0, x - 1);
      const right = 3 * Math.min(width - 1, x + 1);
      const at = (i: number) => data[i] as number;
      let most = -1;
      for (let c = 0; c < 3; c++) {
        const [l, m, r] = [left + c, 3 * x + c, right + c];
        const gx =
          at(above + r) - at(above + l) + 2 * (at(here + r) - at(here + l)) + at(below + r) - at(below + l);
        const gy =
          at(below + l) - at(above + l) + 2 * (at(below + m) - at(above + m)) + at(below + r) - at(above + r);
        const sum = Math.abs(gx) + Math.abs(gy);
        if (sum <= most) continue;
        most = sum;
        dx[y * width + x] = gx;
        dy[y * width + x] = gy;
      }
      size[(y + 1) * (width + 2) + x + 1] = most;
    }
    yield;
  }
  return { dx, dy, size };
}

/** What is largest along its gradient: an edge, or one perhaps. Of a picture with a border. */
function* thinned(
  { dx, dy, size }: Gradient,
  least: number,
  sure: number,
  width: number,
  height: number,
): Sliced<Uint8Array> {
  const map = new Uint8Array(size.length);
  const line = width + 2;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = (y + 1) * line + x + 1;
      const m = size[i] as number;
      if (m <= least) continue;
      const [gx, gy] = [dx[y * width + x] as number, dy[y * width + x] as number];
      const rise = Math.abs(gy) * 32768;
      const low = Math.abs(gx) * TAN_22;
      const high = low + Math.abs(gx) * 65536;
      const step = rise < low ? 1 : rise > high ? line : line + ((gx ^ gy) < 0 ? -1 : 1);
      const [before, after] = [size[i - step] as number, size[i + step] as number];
      const isDiagonal = rise >= low && rise <= high;
      if (m > before && (isDiagonal ? m > after : m >= after)) map[i] = m > sure ? EDGE : MAYBE;
    }
    yield;
  }
  return map;
}

/** Makes edges of what may be one and touches one. */
function* spread(map: Uint8Array, line: number): Sliced<void> {
  const open: number[] = [];
  for (let i = 0; i < map.length; i++) if (map[i] === EDGE) open.push(i);
  yield;
  for (let count = 1; open.length > 0; count++) {
    const i = open.pop() as number;
    for (const step of [-line - 1, -line, -line + 1, -1, 1, line - 1, line, line + 1]) {
      if (map[i + step] !== MAYBE) continue;
      map[i + step] = EDGE;
      open.push(i + step);
    }
    if (count % 4096 === 0) yield;
  }
}

import { invalidArgument } from '../errors.js';
import { inSlices, type Sliced } from '../slices.js';
import { newFloats, type Tensor } from '../tensor.js';

/** Squares that a picture is computed in, with the strip that neighbours share. */
export interface Tiling {
  tile: number;
  /** At most half of the tile. */
  overlap: number;
}

/** Tile after tile through a network whose output is `scale` times its input in each axis. */
export interface TiledRun {
  /** In pixels of the input; both times `scale` are whole. */
  tiling: Tiling;
  /** 8 for a decoder, 1/8 for an encoder. */
  scale: number;
  /**
   * How neighbours meet: each fades into the next one (AutoencoderKL), or lies over the ones before under a mask that
   * rises from 0 to 1 over the strip they share (AutoencoderTiny).
   */
  join?: 'fade' | 'mask';
  /** Pixels from tile to tile, and of the result: in which they fade, and that a tile adds. By default what fits. */
  step?: number;
  blend?: number;
  keep?: number;
  /** [n, c, h, w] -> [n, c', h * scale, w * scale] */
  run(tile: Tensor): Promise<Tensor>;
}

/** Whether a picture has to be cut: one that is as large as a tile need not. */
export function needsTiles({ tile }: Tiling, height: number, width: number): boolean {
  return height > tile || width > tile;
}

/**
 * Computes a tensor [n, c, h, w] in overlapping tiles. In the strip that two of them share, the one fades linearly
 * into the other (diffusers: AutoencoderKL.tiled_decode, tiled_encode; AutoencoderTiny._tiled_decode, _tiled_encode).
 */
export async function runTiled(input: Tensor, options: TiledRun): Promise<Tensor> {
  const { tiling, scale, run, join = 'fade' } = options;
  const { step = tiling.tile - tiling.overlap, blend = tiling.overlap * scale } = options;
  const { keep = tiling.tile * scale - blend } = options;
  const [, , height = 0, width = 0] = input.shape;
  if (join === 'mask' && blend === 1) {
    throw invalidArgument(
      'vaeTiling.overlap',
      'must be more than one pixel of the result for this autoencoder',
    );
  }
  // What the tiles of an axis add together.
  const extent = (size: number) => {
    let sum = 0;
    for (let at = 0; at < size; at += step) {
      sum += Math.min(keep, Math.floor(Math.min(tiling.tile, size - at) * scale));
    }
    return sum;
  };
  const [outHeight, outWidth] =
    join === 'mask' ? [height * scale, width * scale] : [extent(height), extent(width)];
  let out: { data: Float32Array; shape: readonly number[] } | undefined;
  let above: Tensor[] = [];
  for (let y = 0; y < height; y += step) {
    const row: Tensor[] = [];
    for (let x = 0; x < width; x += step) {
      const tile = await run(await inSlices(crop(input, y, x, tiling.tile)));
      const [upper, left] = [above[row.length], row.at(-1)];
      const [n = 0, c = 0] = tile.shape;
      const shape = [n, c, outHeight, outWidth];
      out ??= { data: newFloats(shape.reduce((a, b) => a * b)), shape };
      if (join === 'mask') {
        await inSlices(cover(out, tile, y * scale, x * scale, blend));
        row.push(tile);
        continue;
      }
      // In this order: a tile's neighbours have been blended themselves.
      if (upper) await inSlices(blendRows(upper, tile, blend));
      if (left) await inSlices(blendColumns(left, tile, blend));
      row.push(tile);
      await inSlices(paste(out, tile, (y / step) * keep, (x / step) * keep, keep));
    }
    above = row;
  }
  return out as Tensor;
}

/** A square of up to `size` pixels. */
function* crop({ data, shape }: Tensor, y: number, x: number, size: number): Sliced<Tensor> {
  const [n = 0, c = 0, height = 0, width = 0] = shape;
  const [h, w] = [Math.min(size, height - y), Math.min(size, width - x)];
  const out = newFloats(n * c * h * w);
  for (let row = 0; row < n * c * h; row++) {
    const from = (Math.floor(row / h) * height + y + (row % h)) * width + x;
    out.set(data.subarray(from, from + w), row * w);
    yield;
  }
  return { data: out, shape: [n, c, h, w] };
}

/** Copies a tile's first `size` pixels of each axis. */
function* paste(out: Tensor, { data, shape }: Tensor, y: number, x: number, size: number): Sliced<void> {
  const [n = 0, c = 0, h = 0, w = 0] = shape;
  const [, , height = 0, width = 0] = out.shape;
  const [rows, columns] = [Math.min(size, h), Math.min(size, w)];
  for (let plane = 0; plane < n * c; plane++) {
    for (let row = 0; row < rows; row++) {
      const from = (plane * h + row) * w;
      out.data.set(data.subarray(from, from + columns), (plane * height + y + row) * width + x);
      yield;
    }
  }
}

/** Lays a tile over what is there; its first `blend` rows and columns are seen more and more. */
function* cover(out: Tensor, { data, shape }: Tensor, y: number, x: number, blend: number): Sliced<void> {
  const [n = 0, c = 0, h = 0, w = 0] = shape;
  const [, , height = 0, width = 0] = out.shape;
  const share = (at: number, first: number) =>
    first === 0 || blend === 0 ? 1 : Math.min(1, at / (blend - 1));
  for (let row = 0; row < n * c * h; row++) {
    const own = share(row % h, y);
    const to = (Math.floor(row / h) * height + y + (row % h)) * width + x;
    for (let i = 0; i < w; i++) {
      const t = own * share(i, x);
      out.data[to + i] = t * (data[row * w + i] as number) + (1 - t) * (out.data[to + i] as number);
    }
    yield;
  }
}

/** The last rows of `upper` fade into the first ones of `tile`, which is changed. */
function* blendRows(upper: Tensor, tile: Tensor, extent: number): Sliced<void> {
  const [n = 0, c = 0, h = 0, w = 0] = tile.shape;
  const [, , upperHeight = 0] = upper.shape;
  const count = Math.min(upperHeight, h, extent);
  for (let plane = 0; plane < n * c; plane++) {
    for (let y = 0; y < count; y++) {
      const from = (plane * upperHeight + upperHeight - count + y) * w;
      fade(upper.data, from, tile.data, (plane * h + y) * w, w, () => y / count);
      yield;
    }
  }
}

/** The same from left to right. */
function* blendColumns(left: Tensor, tile: Tensor, extent: number): Sliced<void> {
  const [n = 0, c = 0, h = 0, w = 0] = tile.shape;
  const [, , , leftWidth = 0] = left.shape;
  const count = Math.min(leftWidth, w, extent);
  for (let row = 0; row < n * c * h; row++) {
    fade(left.data, row * leftWidth + leftWidth - count, tile.data, row * w, count, (x) => x / count);
    yield;
  }
}

function fade(
  from: Float32Array,
  fromOffset: number,
  to: Float32Array,
  offset: number,
  count: number,
  share: (i: number) => number,
): void {
  for (let i = 0; i < count; i++) {
    const t = share(i);
    to[offset + i] = (from[fromOffset + i] as number) * (1 - t) + (to[offset + i] as number) * t;
  }
}

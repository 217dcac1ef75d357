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
  /** [n, c, h, w] -> [n, c', h * scale, w * scale] */
  run(tile: Tensor): Promise<Tensor>;
}

/** Whether a picture has to be cut: one that is as large as a tile need not. */
export function needsTiles({ tile }: Tiling, height: number, width: number): boolean {
  return height > tile || width > tile;
}

/**
 * Computes a tensor [n, c, h, w] in overlapping tiles. In the strip that two of them share, the one fades linearly
 * into the other (diffusers: AutoencoderKL.tiled_decode, tiled_encode).
 */
export async function runTiled(input: Tensor, { tiling, scale, run }: TiledRun): Promise<Tensor> {
  const [, , height = 0, width = 0] = input.shape;
  const step = tiling.tile - tiling.overlap;
  const blend = tiling.overlap * scale;
  let out: { data: Float32Array; shape: readonly number[] } | undefined;
  let above: Tensor[] = [];
  for (let y = 0; y < height; y += step) {
    const row: Tensor[] = [];
    for (let x = 0; x < width; x += step) {
      const tile = await run(await inSlices(crop(input, y, x, tiling.tile)));
      const [upper, left] = [above[row.length], row.at(-1)];
      // In this order: a tile's neighbours have been blended themselves.
      if (upper) await inSlices(blendRows(upper, tile, blend));
      if (left) await inSlices(blendColumns(left, tile, blend));
      row.push(tile);
      const [n = 0, c = 0] = tile.shape;
      const shape = [n, c, height * scale, width * scale];
      out ??= { data: newFloats(shape.reduce((a, b) => a * b)), shape };
      await inSlices(paste(out, tile, y * scale, x * scale, step * scale));
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

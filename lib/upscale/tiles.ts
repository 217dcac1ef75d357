import { inSlices, type Sliced } from '../slices.js';
import { newFloats, type Tensor } from '../tensor.js';

/** How a picture is cut for an upscaler, in its own pixels (xinntao/Real-ESRGAN: RealESRGANer). */
export interface UpscaleTiling {
  /** Side of a tile; 0: in one piece. */
  tile: number;
  /** Pixels around a tile that are computed with it and cut off again. */
  tilePad: number;
  /** Pixels that are added on the right and at the bottom by reflection, and cut off again. */
  prePad: number;
}

/** Their defaults. */
export const USUAL_TILE = 512;
export const USUAL_PAD = 10;

/** A network, and what the sides of its pictures must be multiples of. */
export interface TiledNetwork extends UpscaleTiling {
  scale: number;
  multiple: number;
  run(tile: Tensor): Promise<Tensor>;
}

/** Enlarges [n, c, h, w] tile by tile. Nothing is blended: with enough `tilePad` there are no seams. */
export async function upscaleTiled(image: Tensor, network: TiledNetwork): Promise<Tensor> {
  const { tile, tilePad, prePad, multiple, scale, run } = network;
  const [n = 0, , height = 0, width = 0] = image.shape;
  const grown = (picture: Tensor, grow: (size: number) => number) => {
    const [, , bottom = 0, right = 0] = picture.shape;
    return inSlices(crop(picture, { top: 0, left: 0, bottom: grow(bottom), right: grow(right) }));
  };
  // One after the other: what is added to fit the network is a reflection of what was added before.
  const pre = await grown(image, (size) => size + prePad);
  const padded = await grown(pre, (size) => Math.ceil(size / multiple) * multiple);
  const [, , h = 0, w = 0] = padded.shape;
  const side = tile === 0 ? Math.max(h, w) : tile;
  let out: { data: Float32Array; shape: readonly number[] } | undefined;
  for (let y = 0; y < Math.min(h, height); y += side) {
    for (let x = 0; x < Math.min(w, width); x += side) {
      // Whole squares of a network that reads pixels in squares.
      const down = (value: number) => Math.floor(value / multiple) * multiple;
      const over = (value: number) => Math.ceil(value / multiple) * multiple;
      const top = Math.max(0, down(y - tilePad));
      const left = Math.max(0, down(x - tilePad));
      const bottom = Math.min(h, over(Math.min(y + side, h) + tilePad));
      const right = Math.min(w, over(Math.min(x + side, w) + tilePad));
      const result = await run(await inSlices(crop(padded, { top, left, bottom, right })));
      const shape = [n, result.shape[1] as number, height * scale, width * scale];
      out ??= { data: newFloats(shape.reduce((a, b) => a * b)), shape };
      const place = { y: y * scale, x: x * scale, fromY: (y - top) * scale, fromX: (x - left) * scale };
      await inSlices(paste(out, result, place, side * scale));
    }
  }
  return out as Tensor;
}

interface Box {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/** Part of a picture; what lies beyond its end is its reflection. */
function* crop({ data, shape }: Tensor, { top, left, bottom, right }: Box): Sliced<Tensor> {
  const [n = 0, c = 0, height = 0, width = 0] = shape;
  const [h, w] = [bottom - top, right - left];
  const out = newFloats(n * c * h * w);
  const mirrored = (at: number, size: number) => {
    const period = Math.max(1, 2 * (size - 1));
    const place = at % period;
    return place < size ? place : period - place;
  };
  for (let row = 0; row < n * c * h; row++) {
    const from = (Math.floor(row / h) * height + mirrored(top + (row % h), height)) * width;
    for (let x = 0; x < w; x++) out[row * w + x] = data[from + mirrored(left + x, width)] as number;
    yield;
  }
  return { data: out, shape: [n, c, h, w] };
}

/** Copies up to `size` pixels each way of a tile, from within it. */
function* paste(
  out: Tensor,
  { data, shape }: Tensor,
  { y, x, fromY, fromX }: { y: number; x: number; fromY: number; fromX: number },
  size: number,
): Sliced<void> {
  const [n = 0, c = 0, h = 0, w = 0] = shape;
  const [, , height = 0, width = 0] = out.shape;
  const [rows, columns] = [Math.min(size, height - y, h - fromY), Math.min(size, width - x, w - fromX)];
  for (let plane = 0; plane < n * c; plane++) {
    for (let row = 0; row < rows; row++) {
      const from = (plane * h + fromY + row) * w + fromX;
      out.data.set(data.subarray(from, from + columns), (plane * height + y + row) * width + x);
      yield;
    }
  }
}

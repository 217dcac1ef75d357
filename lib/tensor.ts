import { DeepCacheError } from './errors.js';
import { inOneGo, PART, type Sliced } from './slices.js';

/** Numbers with a shape, in row-major order: the last axis is contiguous. */
export interface Tensor {
  /** Row by row. */
  readonly data: Float32Array;
  /** Extents of the axes, the outermost first. */
  readonly shape: readonly number[];
}

/** A tensor that a result holds: printed and in JSON it is a short word for its many numbers. */
export class FloatTensor implements Tensor {
  constructor(
    readonly data: Float32Array,
    readonly shape: readonly number[],
  ) {}

  toJSON(): object {
    return { dtype: 'float32', shape: this.shape };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Tensor float32 [${this.shape.join(', ')}]`;
  }
}

/** How many numbers a tensor of the shape has. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * So many zeros.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_OUT_OF_MEMORY when they do not fit.
 */
export function newFloats(count: number): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(count);
  } catch (cause) {
    const gib = ((4 * count) / 2 ** 30).toFixed(2);
    throw new DeepCacheError(
      'ERR_DEEPCACHE_OUT_OF_MEMORY',
      `An array of ${gib} GiB does not fit into memory`,
      {
        cause,
      },
    );
  }
}

/** Several blocks of the same length one after the other. */
export function concat(blocks: readonly Float32Array[]): Float32Array {
  return inOneGo(joined(blocks));
}

/** The same in parts. */
export function* joined(blocks: readonly Float32Array[]): Sliced<Float32Array> {
  const out = newFloats(blocks.reduce((sum, block) => sum + block.length, 0));
  let offset = 0;
  for (const block of blocks) {
    for (let start = 0; start < block.length; start += PART) {
      out.set(block.subarray(start, start + PART), offset + start);
      yield;
    }
    offset += block.length;
  }
  return out;
}

/** Each of the `rows` equal blocks of `data`, `times` times in a row (torch.repeat_interleave). */
export function* repeatRows(data: Float32Array, rows: number, times: number): Sliced<Float32Array> {
  if (times === 1) return data;
  const length = data.length / rows;
  const row = (i: number) => data.subarray(i * length, (i + 1) * length);
  return yield* joined(Array.from({ length: rows * times }, (_, i) => row(Math.floor(i / times))));
}

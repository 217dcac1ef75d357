import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomFloats } from './random-floats.js';

/** A tensor to be written in fp32. */
export interface Written {
  shape: readonly number[];
  data: Float32Array;
}

export type Tensors = Record<string, Written>;

/** A folder of adapters' files that goes after use. */
export class AdapterFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'deepcache-adapters-'));

  write(name: string, tensors: Tensors, metadata?: Record<string, string>): string {
    const path = join(this.path, name);
    writeFileSync(path, safetensors(tensors, metadata));
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

export function safetensors(tensors: Tensors, metadata?: Record<string, string>): Buffer {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}

/** Reproducible values. */
export function values(shape: readonly number[], seed: number, size = 0.3): Written {
  return {
    shape,
    data: randomFloats(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ).map((value) => value * size),
  };
}

export const scalar = (value: number): Written => ({ shape: [], data: Float32Array.of(value) });

/** up * down of [rows, rank] and [rank, columns]. */
export function product(up: Written, down: Written): Float32Array {
  const rank = down.shape[0] as number;
  const rows = up.data.length / rank;
  const columns = down.data.length / rank;
  return Float32Array.from({ length: rows * columns }, (_, at) => {
    const [r, c] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let i = 0; i < rank; i++) {
      sum += (up.data[r * rank + i] as number) * (down.data[i * columns + c] as number);
    }
    return sum;
  });
}

import { RandomAccessFile } from '../files/random-access.js';
import { widenBits } from '../math/half.js';
import type { StoredTensor } from '../weights/stored-tensor.js';
import type { Scalars } from './layer.js';

/** How the types of a file are read; those of flags are whole numbers, too. */
const READERS: Readonly<Record<string, (bytes: Buffer) => number>> = {
  F64: (bytes) => bytes.readDoubleLE(),
  F32: (bytes) => bytes.readFloatLE(),
  F16: (bytes) => widened(bytes, 'F16'),
  BF16: (bytes) => widened(bytes, 'BF16'),
  I64: (bytes) => Number(bytes.readBigInt64LE()),
  I32: (bytes) => bytes.readInt32LE(),
  I16: (bytes) => bytes.readInt16LE(),
  I8: (bytes) => bytes.readInt8(),
  U8: (bytes) => bytes.readUInt8(),
  BOOL: (bytes) => bytes.readUInt8(),
};

function widened(bytes: Buffer, from: 'F16' | 'BF16'): number {
  return new Float32Array(widenBits(Uint16Array.of(bytes.readUInt16LE()), from).buffer)[0] as number;
}

/** Files keep them among large tensors, each for itself. */
const AT_ONCE = 32;

/** The numbers that tensors of a file hold which have one; others, and what is no finite number, are left out. */
export async function readScalars(
  path: string,
  tensors: readonly StoredTensor[],
  signal: AbortSignal | undefined,
): Promise<Scalars> {
  const single = tensors.filter(
    ({ dtype, shape, bytes }) =>
      Object.hasOwn(READERS, dtype) && bytes <= 8 && shape.every((axis) => axis === 1),
  );
  const values = new Map<StoredTensor, number>();
  if (single.length === 0) return values;
  return RandomAccessFile.with(path, { signal }, async (file) => {
    for (let i = 0; i < single.length; i += AT_ONCE) {
      const read = async (tensor: StoredTensor) => {
        const value = READERS[tensor.dtype]?.(await file.read(tensor.offset, tensor.bytes));
        if (value !== undefined && Number.isFinite(value)) values.set(tensor, value);
      };
      await Promise.all(single.slice(i, i + AT_ONCE).map(read));
    }
    return values;
  });
}

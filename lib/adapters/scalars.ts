import { invalidWeights } from '../errors.js';
import { RandomAccessFile } from '../files/random-access.js';
import { show } from '../messages.js';
import { floatsOf, isFloatType } from '../weights/floats.js';
import type { StoredTensor } from '../weights/stored-tensor.js';
import type { Scalars } from './layer.js';

/** How whole numbers of a file are read; flags are such, too. */
const WHOLE: Readonly<Record<string, (bytes: Buffer) => number>> = {
  I64: (bytes) => Number(bytes.readBigInt64LE()),
  I32: (bytes) => bytes.readInt32LE(),
  I16: (bytes) => bytes.readInt16LE(),
  I8: (bytes) => bytes.readInt8(),
  U8: (bytes) => bytes.readUInt8(),
  BOOL: (bytes) => bytes.readUInt8(),
};

/** Floats of any type: files are converted as a whole. */
function numberOf(bytes: Buffer, dtype: string): number | undefined {
  if (isFloatType(dtype)) return floatsOf(Uint8Array.from(bytes).buffer, dtype)[0];
  return WHOLE[dtype]?.(bytes);
}

/** Files keep them among large tensors, each for itself. */
const AT_ONCE = 32;

/**
 * The numbers that tensors of a file hold.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for one that holds something else: to leave it out would change what the file
 * does.
 */
export async function readScalars(
  path: string,
  tensors: readonly StoredTensor[],
  signal: AbortSignal | undefined,
): Promise<Scalars> {
  for (const { name, dtype, shape } of tensors) {
    if ((isFloatType(dtype) || Object.hasOwn(WHOLE, dtype)) && shape.every((axis) => axis === 1)) continue;
    throw invalidWeights(path, `${show(name)} must be a number, and is ${dtype} [${shape.join(', ')}]`);
  }
  const values = new Map<StoredTensor, number>();
  if (tensors.length === 0) return values;
  return RandomAccessFile.with(path, { signal }, async (file) => {
    for (let i = 0; i < tensors.length; i += AT_ONCE) {
      const read = async (tensor: StoredTensor) => {
        const value = numberOf(await file.read(tensor.offset, tensor.bytes), tensor.dtype);
        if (value === undefined || !Number.isFinite(value))
          throw invalidWeights(path, `${show(tensor.name)} must be a number, and is ${value}`);
        values.set(tensor, value);
      };
      await Promise.all(tensors.slice(i, i + AT_ONCE).map(read));
    }
    return values;
  });
}

import { BITS } from '../stored-tensor.js';
import { PickleProblem } from './bytes.js';
import { PickledStorage, PickledTensor, type PickleValue } from './values.js';

/** More axes than any tensor has that is a weight. */
const MOST_AXES = 16;

/** What `_rebuild_tensor_v2(storage, offset, size, stride, ...)` would make. */
export function rebuildTensor(args: readonly PickleValue[], dtypeOfBytes?: string): PickledTensor {
  const [storage, offset, size, stride] = args;
  const held = storageOf(storage);
  const dtype = held.dtype ?? dtypeOfBytes;
  if (!dtype) throw new PickleProblem('has a tensor without a type');
  const bytesEach = BITS[dtype as keyof typeof BITS] / 8;
  const shape = counts(size);
  const strides = counts(stride);
  if (shape.length !== strides.length) throw new PickleProblem('has a tensor with a damaged shape');
  const bytes = safe(shape.reduce((product, extent) => safe(product * extent), bytesEach));
  const start = safe(count(offset) * bytesEach);
  const transposed = !isContiguous(shape, strides) && isTransposed(shape, strides);
  const isReadable = transposed || isContiguous(shape, strides);
  const problem = isReadable
    ? undefined
    : `has its values in another order (shape [${shape.join(', ')}], strides [${strides.join(', ')}]); save it as .contiguous()`;
  if (isReadable && start + bytes > held.bytes) {
    throw new PickleProblem(`has a tensor of shape [${shape.join(', ')}] that is larger than its storage`);
  }
  return new PickledTensor(held, start, dtype, shape, bytes, transposed, problem);
}

export function tensorOf(value: PickleValue | undefined): PickledTensor {
  if (value instanceof PickledTensor) return value;
  throw new PickleProblem('has a parameter that is no tensor');
}

/** A whole number that is not below 0. */
function count(value: PickleValue | undefined): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new PickleProblem('has a tensor with a size that cannot be');
}

function counts(value: PickleValue | undefined): number[] {
  if (!Array.isArray(value) || value.length > MOST_AXES) {
    throw new PickleProblem('has a tensor with a damaged shape');
  }
  return value.map(count);
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new PickleProblem('has a tensor with a size that cannot be');
  return value;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    // Of one value, it does not matter where the next would be.
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis] as number;
  }
  return true;
}

function isTransposed(shape: readonly number[], strides: readonly number[]): boolean {
  return shape.length === 2 && strides[0] === 1 && strides[1] === shape[0];
}

function storageOf(value: PickleValue | undefined): PickledStorage {
  if (value instanceof PickledStorage) return value;
  throw new PickleProblem('has a tensor without a storage');
}

import { DeepCacheError } from '../lib/errors.js';
import { native } from '../lib/native/binding.js';
import type { NativeSafetensorsFile } from '../lib/native/types.js';
import { convertValues, type FloatType, isFloatType } from './dtypes.js';
import { type OutputTensor, SafetensorsWriter } from './safetensors-writer.js';

export interface ConvertWeightsOptions {
  dtype: FloatType;
  /** Bytes read and in all. */
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/**
 * Converts the floating point tensors of safetensors files, which may be shards of one model, and writes them to one
 * file; others stay as they are. One tensor at a time is in memory.
 *
 * @returns the bytes of the values written.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for damaged files, names that occur twice, float types that
 * cannot be converted, and values beyond the range of the new type.
 */
export async function convertWeights(
  inputs: readonly string[],
  output: string,
  { dtype, onProgress, signal }: ConvertWeightsOptions,
): Promise<number> {
  const files = inputs.map(openFile);
  const tensors = files.flatMap((file) => file.tensors.map((tensor) => ({ file, ...tensor })));
  const total = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const announced = announce(tensors, dtype);
  const metadata = Object.assign({}, ...files.map((file) => file.metadata)) as Record<string, string>;
  const writer = await SafetensorsWriter.create(output, announced, metadata);
  try {
    let done = 0;
    for (const tensor of tensors) {
      signal?.throwIfAborted();
      await writer.write(convert(tensor, dtype));
      done += tensor.bytes;
      onProgress?.(done, total);
    }
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  return announced.reduce((sum, { bytes }) => sum + bytes, 0);
}

type InputTensor = NativeSafetensorsFile['tensors'][number] & { file: NativeSafetensorsFile };

function openFile(path: string): NativeSafetensorsFile {
  return new (native().SafetensorsFile)(path);
}

/** The tensors as they will be written. */
function announce(tensors: readonly InputTensor[], dtype: FloatType): OutputTensor[] {
  const names = new Set<string>();
  return tensors.map(({ file, name, dtype: from, shape, bytes }) => {
    if (names.has(name)) throw fail(file.path, name, 'is in another file too');
    names.add(name);
    if (!isFloatType(from)) {
      // Whole numbers and flags are not weights; other floats are, and would stay behind.
      if (/^(F|C|BF)\d/.test(from)) throw fail(file.path, name, `is ${from}, which cannot be converted`);
      return { name, dtype: from, shape, bytes };
    }
    const count = bytes / (from === 'F32' ? 4 : 2);
    return { name, dtype, shape, bytes: count * (dtype === 'F32' ? 4 : 2) };
  });
}

function convert({ file, name, dtype: from }: InputTensor, dtype: FloatType): Uint8Array {
  const data = file.read(name);
  if (!isFloatType(from)) return new Uint8Array(data);
  const { bytes, overflows } = convertValues(data, from, dtype);
  if (overflows > 0) {
    const advice = dtype === 'F16' ? '; bf16 has the range of fp32' : '';
    throw fail(file.path, name, `has ${overflows} values beyond the range of ${dtype}${advice}`);
  }
  return bytes;
}

function fail(path: string, name: string, message: string): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_INVALID_WEIGHTS', `${path}: tensor "${name}" ${message}`);
}

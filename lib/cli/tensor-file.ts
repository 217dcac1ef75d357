import { DeepCacheError } from '../errors.js';
import { native } from '../native/binding.js';
import type { Tensor } from '../tensor.js';

/** Reads the only tensor of a safetensors file; its values must be F32. */
export function readTensor(path: string): Tensor {
  const fail = (message: string) =>
    new DeepCacheError('ERR_DEEPCACHE_INVALID_WEIGHTS', `${path}: ${message}`);
  const file = new (native().SafetensorsFile)(path);
  const [tensor, ...others] = file.tensors;
  if (!tensor || others.length > 0) throw fail(`must hold one tensor, has ${file.tensors.length}`);
  if (tensor.dtype !== 'F32') throw fail(`the values of "${tensor.name}" must be F32, not ${tensor.dtype}`);
  return { data: new Float32Array(file.read(tensor.name)), shape: tensor.shape };
}

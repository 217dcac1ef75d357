import { DeepCacheError } from '../errors.js';
import { widenBits } from '../math/half.js';

/** Stored values of a safetensors tensor as single-precision numbers; `what` names them in messages. */
export function widen(bytes: ArrayBuffer, dtype: string, what: string): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes);
  if (dtype === 'F16' || dtype === 'BF16') {
    return new Float32Array(widenBits(new Uint16Array(bytes), dtype).buffer);
  }
  throw new DeepCacheError(
    'ERR_DEEPCACHE_INVALID_WEIGHTS',
    `${what} has dtype ${dtype}, expected F32, F16 or BF16`,
  );
}

import { DeepCacheError } from '../errors.js';

/** Stored values of a safetensors tensor as single-precision numbers; `what` names them in messages. */
export function widen(bytes: ArrayBuffer, dtype: string, what: string): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes);
  if (dtype === 'F16') return Float32Array.from(new Uint16Array(bytes), halfToFloat);
  if (dtype === 'BF16') {
    return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16).buffer);
  }
  throw new DeepCacheError(
    'ERR_DEEPCACHE_INVALID_WEIGHTS',
    `${what} has dtype ${dtype}, expected F32, F16 or BF16`,
  );
}

/** IEEE 754 binary16. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

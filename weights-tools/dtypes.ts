import { floatToBfloat, floatToHalf } from '../lib/math/half.js';
import { floatBits, type StoredFloat } from '../lib/weights/floats.js';

/** The floating point types that weights are written in, by the names of the safetensors format. */
export type FloatType = 'F32' | 'F16' | 'BF16';

/** Values of a tensor in another type, and how many finite ones were beyond its range. */
export interface Converted {
  bytes: Uint8Array;
  overflows: number;
}

/** Whether values can be written in a type, and not only be read. */
export function isWritten(dtype: string): dtype is FloatType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/**
 * Converts values, rounding to nearest, ties to even; fp64 by way of fp32. The bytes come as they are when the type
 * stays.
 */
export function convertValues(data: ArrayBuffer, from: StoredFloat, to: FloatType): Converted {
  if (from === to) return { bytes: new Uint8Array(data), overflows: 0 };
  const bits = floatBits(data, from);
  const wide = from === 'F64' ? countNewInfinities(new Float64Array(data), bits) : 0;
  if (to === 'F32') return { bytes: bytesOf(bits), overflows: wide };
  const narrow = to === 'F16' ? floatToHalf : floatToBfloat;
  const out = new Uint16Array(bits.length);
  const infinity = to === 'F16' ? 0x7c00 : 0x7f80;
  let overflows = wide;
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] as number;
    const narrowed = narrow(value);
    out[i] = narrowed;
    if ((narrowed & 0x7fff) === infinity && (value & 0x7fffffff) !== 0x7f800000) overflows++;
  }
  return { bytes: bytesOf(out), overflows };
}

function countNewInfinities(values: Float64Array, bits: Uint32Array): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (((bits[i] as number) & 0x7fffffff) === 0x7f800000 && Number.isFinite(values[i])) count++;
  }
  return count;
}

function bytesOf({ buffer }: Uint32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer);
}

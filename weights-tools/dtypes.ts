import { floatToBfloat, floatToHalf, widenBits } from '../lib/math/half.js';

/** The floating point types of weight files, by the names of the safetensors format. */
export type FloatType = 'F32' | 'F16' | 'BF16';

/** Values of a tensor in another type, and how many finite ones were beyond its range. */
export interface Converted {
  bytes: Uint8Array;
  overflows: number;
}

export function isFloatType(dtype: string): dtype is FloatType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** Converts values, rounding to nearest, ties to even. The bytes come as they are when the type stays. */
export function convertValues(data: ArrayBuffer, from: FloatType, to: FloatType): Converted {
  if (from === to) return { bytes: new Uint8Array(data), overflows: 0 };
  const bits = from === 'F32' ? new Uint32Array(data) : widenBits(new Uint16Array(data), from);
  if (to === 'F32') return { bytes: bytesOf(bits), overflows: 0 };
  const narrow = to === 'F16' ? floatToHalf : floatToBfloat;
  const out = new Uint16Array(bits.length);
  const infinity = to === 'F16' ? 0x7c00 : 0x7f80;
  let overflows = 0;
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] as number;
    const narrowed = narrow(value);
    out[i] = narrowed;
    if ((narrowed & 0x7fff) === infinity && (value & 0x7fffffff) !== 0x7f800000) overflows++;
  }
  return { bytes: bytesOf(out), overflows };
}

function bytesOf({ buffer }: Uint32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer);
}

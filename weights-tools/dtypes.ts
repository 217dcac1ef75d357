import { floatToBfloat, floatToHalf, widenBits } from '../lib/math/half.js';

/** The floating point types that weights are written in, by the names of the safetensors format. */
export type FloatType = 'F32' | 'F16' | 'BF16';

/** Those that they are read from. */
export type StoredFloat = FloatType | 'F64' | 'F8_E4M3' | 'F8_E5M2';

const STORED: readonly string[] = ['F32', 'F16', 'BF16', 'F64', 'F8_E4M3', 'F8_E5M2'];

/** Values of a tensor in another type, and how many finite ones were beyond its range. */
export interface Converted {
  bytes: Uint8Array;
  overflows: number;
}

export function isFloatType(dtype: string): dtype is StoredFloat {
  return STORED.includes(dtype);
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
  const bits = bitsOf(data, from);
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

/** Values as fp32 numbers. */
export function floatsOf(data: ArrayBuffer, from: StoredFloat): Float32Array {
  return new Float32Array(bitsOf(data, from).buffer);
}

/** The fp32 bits of values. */
function bitsOf(data: ArrayBuffer, from: StoredFloat): Uint32Array<ArrayBuffer> {
  switch (from) {
    case 'F32':
      return new Uint32Array(data);
    case 'F64':
      return new Uint32Array(Float32Array.from(new Float64Array(data)).buffer);
    case 'F8_E4M3':
      return Uint32Array.from(new Uint8Array(data), (code) => e4m3Bits()[code] as number);
    case 'F8_E5M2':
      // fp16 without the last 8 bits of its mantissa.
      return widened(
        Uint16Array.from(new Uint8Array(data), (code) => code << 8),
        'F16',
      );
    default:
      return widened(new Uint16Array(data), from);
  }
}

function widened(values: Uint16Array, from: 'F16' | 'BF16'): Uint32Array<ArrayBuffer> {
  return widenBits(values, from) as Uint32Array<ArrayBuffer>;
}

let e4m3: Uint32Array | undefined;

/** The fp32 bits of every e4m3fn number: 4 bits of exponent (bias 7), 3 of mantissa, one NaN and no infinities. */
function e4m3Bits(): Uint32Array {
  if (e4m3) return e4m3;
  const values = Float32Array.from({ length: 256 }, (_, code) => {
    const sign = code & 0x80 ? -1 : 1;
    const exponent = (code >> 3) & 15;
    const mantissa = code & 7;
    if ((code & 0x7f) === 0x7f) return Number.NaN;
    return sign * (exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10));
  });
  e4m3 = new Uint32Array(values.buffer);
  return e4m3;
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

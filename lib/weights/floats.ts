import { widenBits } from '../math/half.js';

/** The floating point types that weights are stored in, by the names of the safetensors format. */
export type StoredFloat = 'F32' | 'F16' | 'BF16' | 'F64' | 'F8_E4M3' | 'F8_E5M2';

const STORED: readonly string[] = ['F32', 'F16', 'BF16', 'F64', 'F8_E4M3', 'F8_E5M2'];

export function isFloatType(dtype: string): dtype is StoredFloat {
  return STORED.includes(dtype);
}

/** Values as fp32 numbers. */
export function floatsOf(data: ArrayBuffer, from: StoredFloat): Float32Array {
  return new Float32Array(floatBits(data, from).buffer);
}

/** The fp32 bits of values. */
export function floatBits(data: ArrayBuffer, from: StoredFloat): Uint32Array<ArrayBuffer> {
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

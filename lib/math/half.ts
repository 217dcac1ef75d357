/** The fp32 bits of fp16 or bf16 numbers. */
export function widenBits(values: Uint16Array, from: 'F16' | 'BF16'): Uint32Array {
  const out = new Uint32Array(values.length);
  const table = from === 'F16' ? halfTable() : undefined;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    out[i] = table ? (table[value] as number) : value << 16;
  }
  return out;
}

let halves: Uint32Array | undefined;

/** The fp32 bits of every fp16 number. */
function halfTable(): Uint32Array {
  halves ??= Uint32Array.from({ length: 0x10000 }, (_, half) => {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13);
    if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
    if (mantissa === 0) return sign;
    // Subnormal: shift the leading one to where it is implied.
    const shift = Math.clz32(mantissa) - 21;
    return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
  });
  return halves;
}

/** fp32 bits to fp16 bits. */
export function floatToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00 | ((size >>> 13) & 0x3ff); // NaN
  if (size >= 0x477ff000) return sign | 0x7c00; // rounds to 65536 or more
  if (size >= 0x38800000) {
    const rebiased = size - (112 << 23);
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  if (size < 0x33000000) return sign; // less than half of the smallest subnormal
  const shift = 126 - (size >>> 23);
  const mantissa = (size & 0x7fffff) | 0x800000;
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (rest > half || (rest === half && kept & 1) ? kept + 1 : kept);
}

/** fp32 bits to bf16 bits. */
export function floatToBfloat(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) | 0x40) & 0xffff; // NaN
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

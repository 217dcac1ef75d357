import { native } from '../../lib/native/binding.js';

/** Reproducible normal numbers. */
export function randomFloats(count: number, seed: number): Float32Array {
  return Float32Array.from(new (native().Generator)(BigInt(seed)).randn(count));
}

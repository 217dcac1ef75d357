import { expect } from '@jest/globals';
import { DeepCacheError } from '../lib/errors.js';
import { Random } from './random.js';

/** Bytes with a few of them changed, cut out, doubled, or the end cut off. */
export function mutated(bytes: Uint8Array, random: Random): Buffer {
  let out = Buffer.from(bytes);
  for (let i = 1 + random.below(4); i > 0 && out.length > 0; i--) {
    const at = random.below(out.length);
    const length = 1 + random.below(16);
    const change = random.below(6);
    if (change === 0) out[at] = (out[at] as number) ^ (1 << random.below(8));
    else if (change === 1) out.fill(random.of([0, 0xff, 0x7f, 0x80]), at, Math.min(out.length, at + length));
    else if (change === 2) out = Buffer.concat([out.subarray(0, at), out.subarray(at + length)]);
    else if (change === 3) out = Buffer.concat([out.subarray(0, at + length), out.subarray(at)]);
    else if (change === 4) out = out.subarray(0, at);
    else out.writeUInt8(random.below(256), at);
  }
  return out;
}

/** A result, or an error with a code and a message that says something and not too much: never anything else. */
export async function settles<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DeepCacheError)) throw error;
    expect(error.message.length).toBeLessThan(2100);
    return undefined;
  }
}

/** Numbers for damage: the same ones every time, and others for each DEEPCACHE_FUZZ_SEED where it is set. */
export function fuzzRandom(seed: number): Random {
  return new Random(seed + 1000 * Number(process.env.DEEPCACHE_FUZZ_SEED ?? 0));
}

/** How many inputs are tried: the same ones every time, and DEEPCACHE_FUZZ_ROUNDS times as many where it is set. */
export function rounds(count: number): number {
  return count * Number(process.env.DEEPCACHE_FUZZ_ROUNDS ?? 1);
}

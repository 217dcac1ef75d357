const [INIT_A, MULT_A] = [0x43b0d7e5, 0x931e8875];
const [INIT_B, MULT_B] = [0x8b51f9dd, 0x58f38ded];
const [MIX_LEFT, MIX_RIGHT] = [0xca01f9dd, 0x4973f715];

/** What a sequence of seeds is made from. */
export interface SeedSource {
  /** Not negative. */
  entropy: bigint;
  /** Whole numbers from 0 that tell sequences of the same entropy apart. */
  spawnKey?: readonly number[];
  /** Words of the pool that the entropy is mixed into. */
  poolSize: number;
}

/**
 * The first `count` words of numpy.random.SeedSequence (O'Neill's seed_seq), each of 32 bits: independent seeds from
 * one number.
 */
export function seedWords({ entropy, spawnKey = [], poolSize }: SeedSource, count: number): number[] {
  const words = wordsOf(entropy);
  if (spawnKey.length > 0) while (words.length < poolSize) words.push(0);
  words.push(...spawnKey.flatMap((key) => wordsOf(BigInt(key))));
  const pool = mixed(words, poolSize);
  let multiplier = INIT_B;
  return Array.from({ length: count }, (_, i) => {
    let word = (pool[i % poolSize] as number) ^ multiplier;
    multiplier = Math.imul(multiplier, MULT_B);
    word = Math.imul(word, multiplier);
    return (word ^ (word >>> 16)) >>> 0;
  });
}

/** Words from the lowest to the highest that is not 0, at least one. */
function wordsOf(value: bigint): number[] {
  const words: number[] = [];
  let rest = value;
  do {
    words.push(Number(rest & 0xffffffffn));
    rest >>= 32n;
  } while (rest > 0n);
  return words;
}

/** A pool in which every word of the entropy has changed every other. */
function mixed(words: readonly number[], size: number): Int32Array {
  let multiplier = INIT_A;
  const hash = (word: number): number => {
    let value = word ^ multiplier;
    multiplier = Math.imul(multiplier, MULT_A);
    value = Math.imul(value, multiplier);
    return value ^ (value >>> 16);
  };
  const pool = Int32Array.from({ length: size }, (_, i) => hash(words[i] ?? 0));
  const mix = (to: number, word: number) => {
    const value = Math.imul(MIX_LEFT, pool[to] as number) - Math.imul(MIX_RIGHT, hash(word));
    pool[to] = value ^ ((value | 0) >>> 16);
  };
  for (let from = 0; from < size; from++) {
    for (let to = 0; to < size; to++) if (from !== to) mix(to, pool[from] as number);
  }
  for (const word of words.slice(size)) for (let to = 0; to < size; to++) mix(to, word);
  return pool;
}

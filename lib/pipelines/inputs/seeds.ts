import { randomInt } from 'node:crypto';
import { invalidArgument } from '../../errors.js';
import { show } from '../../messages.js';
import type { Tensor } from '../../tensor.js';

/** A number where a number holds it exactly, up to 2^53; a bigint beyond. */
export type Seed = number | bigint;

/** Options that name seeds; -1 stands for a random one, as in the usual user interfaces. */
export interface SeedOptions {
  seed?: Seed | undefined;
  seeds?: readonly Seed[] | undefined;
  latents?: Tensor | undefined;
}

/** A random seed, short enough to be written down. */
export function drawSeed(): number {
  return randomInt(2 ** 32);
}

/** Whether a seed was left to chance. */
export function isRandom(seed: Seed | undefined): boolean {
  return seed === undefined || seed === -1 || seed === -1n;
}

/** The seeds of a run: one for the batch, or one for each image. Random ones are drawn here. */
export function seedsOf({ seed, seeds }: SeedOptions): bigint[] {
  const one = (name: string, value: Seed | undefined) =>
    isRandom(value) ? BigInt(drawSeed()) : toSeed(name, value);
  return seeds ? seeds.map((value, i) => one(`seeds[${i}]`, value)) : [one('seed', seed)];
}

/** The same options with every random seed drawn, for runs that shall have the same. */
export function withSeeds<Options extends SeedOptions>(options: Options): Options {
  const drawn = (seed: Seed | undefined) => (isRandom(seed) ? drawSeed() : (seed as Seed));
  return Array.isArray(options.seeds)
    ? { ...options, seeds: options.seeds.map(drawn) }
    : { ...options, seed: drawn(options.seed) };
}

/** Throws what is wrong with seeds, and with how many of them go with a batch. */
export function checkSeeds({ seed, seeds, latents }: SeedOptions, batch: number): void {
  if (seed !== undefined && seeds !== undefined)
    throw invalidArgument('seeds', 'and seed exclude each other');
  if (seed !== undefined) toSeed('seed', seed);
  if (seeds === undefined) return;
  if (!Array.isArray(seeds) || seeds.length !== batch) {
    const got = Array.isArray(seeds) ? seeds.length : show(seeds);
    throw invalidArgument('seeds', `must be a list of ${batch} seeds, one for each image, got ${got}`);
  }
  for (const [i, value] of seeds.entries()) toSeed(`seeds[${i}]`, value);
  if (latents && latents.shape?.[0] !== batch) throw invalidArgument('latents', `must have ${batch} images`);
}

/** A seed as the generator takes it: any whole number of 64 bits. */
export function toSeed(name: string, value: unknown): bigint {
  if (typeof value === 'bigint' && value >= -(2n ** 63n) && value < 2n ** 64n)
    return BigInt.asIntN(64, value);
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  throw invalidArgument(name, `must be a whole number (a bigint beyond 2^53), got ${show(value)}`);
}

/** The generator's seeds as the result holds them: given again, they make the same pictures. */
export function tellSeeds(seeds: readonly bigint[]): Seed[] {
  return seeds.map((seed) => {
    // These bits are also a number that does not mean a random one.
    if (seed === -1n) return 2n ** 64n - 1n;
    return Number.isSafeInteger(Number(seed)) ? Number(seed) : seed;
  });
}

/** Seeds for JSON, which has no bigints: those are decimal texts. */
export function jsonSeeds(seeds: readonly Seed[]): (number | string)[] {
  return seeds.map((seed) => (typeof seed === 'bigint' ? String(seed) : seed));
}

import { seedWords } from './seed-sequence.js';

/** Words of numpy's pool as k-diffusion and diffusers have it, for torchsde. */
const POOL_SIZE = 24;
/** Decimals that times are rounded to. */
const DECIMALS = 6;

/** A Brownian motion: its values are known once and for all, however they are asked for. */
export interface BrownianMotion {
  low: number;
  high: number;
  /** Not negative. */
  entropy: bigint;
}

/** An interval of the motion, halved again and again. */
interface Piece {
  start: number;
  end: number;
  /** Position among the pieces of its depth. */
  key: number;
  depth: number;
  /** The motion at its start, and how far it goes until its end. */
  value: Float32Array;
  way: Float32Array;
}

/**
 * The values of a motion at times between its ends, beginning with 0 at the low one, as torchsde's BrownianInterval
 * with a halfway tree makes them (Li et al. 2020, section 4): the whole way is drawn, then the middle of every piece in
 * which a time lies, until the time is the end of a piece.
 *
 * @param normal standard normal numbers of a seed, always as many.
 * @returns values by the times, which are rounded to six decimals.
 */
export async function brownianValues(
  { low, high, entropy }: BrownianMotion,
  times: readonly number[],
  normal: (seed: number) => Promise<ArrayLike<number>>,
): Promise<(time: number) => Float32Array> {
  const found = new Map<number, Float32Array>();
  const [seed] = seedWords({ entropy, poolSize: POOL_SIZE }, 1) as [number];
  const way = Float32Array.from(await normal(seed), (z) => z * Math.sqrt(high - low));
  const [start, end] = [roundTime(low), roundTime(high)];
  const clamp = (time: number) => Math.min(Math.max(roundTime(time), start), end);

  const visit = async (piece: Piece, wanted: readonly number[]): Promise<void> => {
    if (wanted.includes(piece.start)) found.set(piece.start, piece.value);
    if (wanted.includes(piece.end)) found.set(piece.end, sum(piece.value, piece.way));
    const inside = wanted.filter((time) => time > piece.start && time < piece.end);
    if (inside.length === 0) return;
    const middle = roundTime((piece.start + piece.end) / 2);
    const [before, after] = [inside.filter((t) => t <= middle), inside.filter((t) => t > middle)];
    const first = await firstHalf(piece, middle, entropy, normal);
    // Most pieces have one wanted time, and so one half that matters.
    if (before.length > 0) await visit(leftOf(piece, middle, first), before);
    if (after.length > 0) await visit(rightOf(piece, middle, first), after);
  };
  const wanted = [...new Set(times.map(clamp))];
  await visit({ start, end, key: 0, depth: 0, value: new Float32Array(way.length), way }, wanted);
  return (time) => found.get(clamp(time)) as Float32Array;
}

/** How far the motion goes in the first half of a piece. */
async function firstHalf(
  { start, end, key, depth, way }: Piece,
  middle: number,
  entropy: bigint,
  normal: (seed: number) => Promise<ArrayLike<number>>,
): Promise<Float32Array> {
  const [seed] = seedWords({ entropy, spawnKey: [key, depth], poolSize: POOL_SIZE }, 1) as [number];
  const z = await normal(seed);
  const share = (middle - start) / (end - start);
  const deviation = Math.sqrt(((middle - start) * (end - middle)) / (end - start));
  const first = new Float32Array(way.length);
  for (let i = 0; i < first.length; i++) first[i] = share * (way[i] as number) + deviation * (z[i] as number);
  return first;
}

function leftOf({ start, key, depth, value }: Piece, middle: number, first: Float32Array): Piece {
  return { start, end: middle, key: 2 * key, depth: depth + 1, value, way: first };
}

function rightOf({ end, key, depth, value, way }: Piece, middle: number, first: Float32Array): Piece {
  const rest = new Float32Array(way.length);
  for (let i = 0; i < rest.length; i++) rest[i] = (way[i] as number) - (first[i] as number);
  return { start: middle, end, key: 2 * key + 1, depth: depth + 1, value: sum(value, first), way: rest };
}

function sum(a: Float32Array, b: Float32Array): Float32Array {
  const total = new Float32Array(a.length);
  for (let i = 0; i < total.length; i++) total[i] = (a[i] as number) + (b[i] as number);
  return total;
}

/** To six decimals, as Python's round() has it: the nearest, of two equally near ones the even one. */
export function roundTime(time: number): number {
  const digits = time.toFixed(60);
  const [rest, kept] = [digits.slice(-60 + DECIMALS), digits.slice(0, -60 + DECIMALS)];
  const isTie = /^50*$/.test(rest);
  if (isTie && /[02468]$/.test(kept)) return Number(kept);
  return Number(time.toFixed(DECIMALS));
}

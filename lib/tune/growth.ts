import type { Between } from './schedule.js';
import type { Trials } from './trials.js';

/** So many gaps are run: what an error becomes changes little from call to call. */
const GAPS = 8;
/** Calls of a gap, as a share of all: errors grow as they do behind gaps of the kind that there will be. */
const [RETRIEVED, PREDICTED] = [1 / 4, 1 / 8];
/** So small an error is none. */
const TINY = 1e-12;

/**
 * How an error in the latents before a call shows in the end, for each call: the factor by which its square grows, of
 * each picture. From runs with one gap that ends there, of calls of the kind that errors will come from: a model corrects errors of
 * predicted calls more than those of retrieved ones. Between the gaps that are run, as many as there is time for, the logarithm of the
 * factor is a straight line.
 */
export async function measureGrowth(trials: Trials, between: Between): Promise<number[][]> {
  const { calls } = trials;
  const length = Math.max(2, Math.round(calls * (between === 'predict' ? PREDICTED : RETRIEVED)));
  const known: [end: number, factors: readonly number[]][] = [];
  for (const end of endsOf(calls)) {
    if (trials.isOver()) break;
    const start = Math.max(0, end - length);
    const steps = Array.from({ length: calls }, (_, i) => i).filter((i) => i <= start || i >= end);
    const errors = await trials.errors({ steps, between });
    const last = errors[calls] as readonly number[];
    known.push([
      end,
      (errors[end] as readonly number[]).map((error, i) => (error > TINY ? (last[i] as number) / error : 1)),
    ]);
  }
  const pictures = known[0]?.[1].length ?? 0;
  known.push([calls, Array<number>(pictures).fill(1)]);
  known.sort(([a], [b]) => a - b);
  return Array.from({ length: calls + 1 }, (_, call) => atCall(known, call));
}

/** Ends of the gaps that are run, evenly spread, every second of them first; a gap has one call at least. */
function endsOf(calls: number): number[] {
  const count = Math.min(GAPS, calls - 2);
  const ends = Array.from({ length: count }, (_, i) => 2 + Math.floor((i * (calls - 2)) / count));
  return [0, 1].flatMap((rest) => ends.filter((_, i) => i % 2 === rest));
}

/** The factors at a call, between those that are known; before the first of them, its own. */
function atCall(
  known: readonly (readonly [end: number, factors: readonly number[]])[],
  call: number,
): number[] {
  const next = known.findIndex(([end]) => end >= call);
  const [end, factors] = known[next] as [number, readonly number[]];
  const [start, others] = known[next - 1] ?? [call, factors];
  const share = end === start ? 0 : (call - start) / (end - start);
  return factors.map((factor, i) => (others[i] as number) ** (1 - share) * factor ** share);
}

import type { GenerateStats } from '../pipelines/outputs/result.js';

/** Share of the speed-ups that lie below and above the range which is shown. */
const OUTSIDE = 0.1;
/** With a range that is wider than this the speed-up is no figure any more. */
const TOO_NOISY = 1.33;

/** How far measured speed-ups lie apart. */
export interface SpeedupSpread {
  /** Where four in five of them lie. */
  speedupRange: readonly [number, number];
  /** The range is too wide to tell how fast the setting is: the machine did other things meanwhile. */
  isNoisy: boolean;
}

/**
 * What a run beside an uncached one says of the speed-up: their denoising times' ratio, and the same as if the machine
 * had been as fast in both. Full calls are the same work in every run, so whatever they differ by is the machine.
 */
export function speedupsOf(reference: GenerateStats, run: GenerateStats): [number, number] {
  const ratio = reference.times.denoise / run.times.denoise;
  return [ratio, (ratio * fullCall(run)) / fullCall(reference)];
}

const fullCall = ({ callTimes, fullCalls }: GenerateStats) => callTimes.full / fullCalls;

export function spreadOf(speedups: readonly number[]): SpeedupSpread {
  const [low, high] = quantiles(speedups, [OUTSIDE, 1 - OUTSIDE]) as [number, number];
  // Written so that NaN is noise.
  return { speedupRange: [low, high], isNoisy: !(high <= TOO_NOISY * low) };
}

export function median(values: readonly number[]): number {
  return quantiles(values, [0.5])[0] as number;
}

/** What these shares of the values lie below. */
export function quantiles(values: readonly number[], shares: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  return shares.map((share) => quantile(sorted, share));
}

/** Between the two nearest of ascending values. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  // Also where both are infinite.
  return below === above ? below : below + (above - below) * (at - Math.floor(at));
}

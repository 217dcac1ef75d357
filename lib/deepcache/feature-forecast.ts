import type { NoiseLevel } from '../schedulers/compiled.js';
import type { CallPlan } from './policy.js';

/**
 * Gives retrieve calls with a `damping` the `gamma` that it means at their place. With one full call before them there is
 * no change that could go on: their feature is held.
 */
export function withFeatureForecasts(levels: readonly NoiseLevel[], calls: readonly CallPlan[]): CallPlan[] {
  let last = 0;
  let before: number | undefined;
  return calls.map((call, i) => {
    if (call.kind === 'full' && i > 0) [before, last] = [last, i];
    if (call.kind !== 'retrieve' || call.damping === undefined) return call;
    const { damping, ...rest } = call;
    return { ...rest, gamma: damping * featureLineFactor(levels, i, last, before) };
  });
}

/**
 * The factor of a straight line through the last two full calls over the angle of the noise level, phi = atan2(sigma,
 * alpha): (phi_i - phi_k) / (phi_k - phi_j). A U-Net's hidden states change more evenly over it than over timesteps.
 */
export function featureLineFactor(
  levels: readonly NoiseLevel[],
  call: number,
  last: number,
  before: number | undefined,
): number {
  const phi = (i: number) => {
    const { sqrtAlpha, sigma } = levels[i] as NoiseLevel;
    return Math.atan2(sigma, sqrtAlpha);
  };
  return stepAlong(phi, call, last, before);
}

/** How far a call lies behind the last full one, in steps from the one before to that, by a coordinate of calls. */
export function stepAlong(
  coordinate: (call: number) => number,
  call: number,
  last: number,
  before: number | undefined,
): number {
  if (before === undefined) return 0;
  const step = (coordinate(call) - coordinate(last)) / (coordinate(last) - coordinate(before));
  // A call of pure noise may be infinitely far away; calls of one level have no line through them.
  return Number.isFinite(step) ? step : 0;
}

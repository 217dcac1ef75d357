import { lineFactor } from '../deepcache/index.js';
import { product, solved } from './least-squares.js';
import type { ForecastRule } from './schedule.js';
import type { UncachedRun } from './uncached.js';

/**
 * How a predicted call's noise is made of what the last full calls k, j and i found: z_k + gamma (z_k - z_j) + curve (z_k - 2 z_j + z_i) +
 * noise z_k + clean x0_k.
 */
export interface Factors {
  readonly gamma: number;
  readonly curve: number;
  readonly clean: number;
  readonly noise: number;
}

/** The noise of the last full call. */
export const HELD: Factors = { gamma: 0, curve: 0, clean: 0, noise: 0 };

export const RULES: readonly ForecastRule[] = ['held', 'half', 'line', 'fitted', 'clean', 'whole'];

/**
 * The factors of calls behind full calls `before` (-1: none) and `last`, by a rule: gamma is 0 (held), as a straight line over
 * log(alpha / sigma) has it, half of that, or what fits the pictures best by least squares (fitted); or the share of the clean
 * latents does (clean), or all three factors do (whole). What a model takes for the clean latents grows over a run in the direction
 * that it has: a share of x0_k says so without a second full call, and errors of two calls are not multiplied.
 */
export function forecastFactors(
  run: UncachedRun,
  before: number,
  last: number,
  rule: ForecastRule,
): (call: number) => Factors {
  const { levels } = run;
  if (rule === 'clean') return leastSquares(run, before, last, ['clean']);
  if (rule === 'whole') return leastSquares(run, before, last, ['clean', 'noise', 'gamma']);
  if (before < 0 || rule === 'held') return () => HELD;
  if (rule === 'fitted') return leastSquares(run, before, last, ['gamma']);
  const share = rule === 'half' ? 0.5 : 1;
  return (call) => ({ ...HELD, gamma: round(share * lineFactor(levels, call, last, before)) });
}

/** What comes closest to the noise that the calls found, over all pictures. */
function leastSquares(
  { noise, clean }: UncachedRun,
  before: number,
  last: number,
  names: readonly Exclude<keyof Factors, 'curve'>[],
): (call: number) => Factors {
  const [held, x0, older] = [noise[last], clean[last], noise[before]] as Float32Array[] as [
    Float32Array,
    Float32Array,
    Float32Array | undefined,
  ];
  const parts = {
    clean: x0,
    noise: held,
    ...(older && { gamma: held.map((value, i) => value - (older[i] as number)) }),
  };
  const used = names.flatMap((name) => {
    const part = parts[name];
    return part ? [{ name, part }] : [];
  });
  const products = used.map(({ part }) => used.map((other) => product(part, other.part)));
  return (call) => {
    const real = noise[call] as Float32Array;
    const wanted = used.map(({ part }) => product(part, real) - product(part, held));
    const found = solved(products, wanted);
    const named = Object.fromEntries(used.map(({ name }, i) => [name, round(found[i] as number)]));
    return { ...HELD, ...named };
  };
}

/** Options take no larger ones. */
const LARGEST = 100;

/** Factors are pasted into options: digits beyond these change nothing that can be seen. */
export const round = (factor: number) =>
  Math.max(-LARGEST, Math.min(LARGEST, Math.round(1e4 * factor) / 1e4));

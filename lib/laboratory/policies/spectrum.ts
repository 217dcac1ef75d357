import { solve } from '../../math/solve.js';
import type { PolicyFamily } from '../policy.js';
import { mix } from '../vectors.js';

/** Chebyshev's polynomials up to a degree at a place from -1 to 1. */
function chebyshev(degree: number, at: number): number[] {
  const values = [1, at];
  while (values.length <= degree) {
    values.push(2 * at * (values.at(-1) as number) - (values.at(-2) as number));
  }
  return values.slice(0, degree + 1);
}

/**
 * For each of the places how much its value counts in the ridge regression's at another: x (X'X + lambda)^-1 X', so
 * that only these few weights meet the features.
 */
export function ridgeWeights(
  places: readonly number[],
  at: number,
  degree: number,
  lambda: number,
): number[] {
  const design = places.map((place) => chebyshev(degree, place));
  const wanted = chebyshev(degree, at);
  const normal = wanted.map((_, i) =>
    wanted.map((__, j) =>
      design.reduce((sum, row) => sum + (row[i] as number) * (row[j] as number), i === j ? lambda : 0),
    ),
  );
  const coefficients = solve(
    normal,
    wanted.map((value) => [value]),
  );
  return design.map((row) =>
    row.reduce((sum, value, i) => sum + value * (coefficients[i]?.[0] as number), 0),
  );
}

/**
 * The noise over the number of the call as Chebyshev polynomials, fitted to all full calls so far, half and half with a
 * straight line through the last two; windows of skipped calls grow. The code forecasts what goes into the U-Net's last
 * norm and convolution; here it is the output.
 */
export const SPECTRUM: PolicyFamily<{
  window: number;
  flex: number;
  first: number;
  degree: number;
  lambda: number;
  weight: number;
}> = {
  name: 'spectrum',
  reference:
    'Spectrum: adaptive spectral feature forecasting, github.com/hanjq17/Spectrum, settings of its SDXL script, of the output',
  defaults: { window: 2, flex: 0.75, first: 5, degree: 4, lambda: 0.1, weight: 0.5 },
  front: [{ flex: 0.05 }, { flex: 0.25 }, { flex: 0.75 }, { window: 3, flex: 1 }, { window: 4, flex: 2 }],
  begin({ window, flex, first, degree, lambda, weight }, { calls }) {
    const full: { index: number; noise: Float32Array }[] = [];
    let skipped = 0;
    let size = window;
    return async (call) => {
      const { index } = call;
      const isFull = index < first || (skipped + 1) % Math.floor(size) === 0;
      if (isFull) {
        if (index >= first) size += flex;
        skipped = 0;
        const { guided } = await call.full();
        full.push({ index, noise: call.toNoise(guided) });
        return guided;
      }
      skipped++;
      const place = (i: number) => (2 * i) / calls - 1;
      const weights = ridgeWeights(
        full.map((one) => place(one.index)),
        place(index),
        degree,
        lambda,
      ).map((value) => weight * value);
      const [last, before] = [full.length - 1, full.length - 2];
      const [at, from] = [full[last]?.index as number, full[before]?.index as number];
      const steps = (index - at) / (at - from);
      weights[last] = (weights[last] as number) + (1 - weight) * (1 + steps);
      weights[before] = (weights[before] as number) - (1 - weight) * steps;
      return call.fromNoise(mix(...full.map(({ noise }, i) => [weights[i] as number, noise] as const)));
    };
  },
};

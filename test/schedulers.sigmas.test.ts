import { expect, test } from '@jest/globals';
import { betaQuantile } from '../lib/schedulers/beta-quantile.js';
import { logSigmas, timestepOfSigma } from '../lib/schedulers/sigmas.js';

const SHARES = [1e-6, 0.01, 0.25, 0.5, 0.9, 0.999999];

// scipy 1.17: scipy.stats.beta.ppf
test.each([
  [
    0.6,
    0.6,
    [
      1.8558824624053043e-10, 8.612388215429059e-4, 0.17568037865269498, 0.5, 0.9604155944112192,
      0.9999999998144118,
    ],
  ],
  [
    0.6,
    0.9,
    [
      1.1323304484588834e-10, 5.255639697783011e-4, 0.1115316560614223, 0.3479599867112637,
      0.8717053245292146, 0.9999996327410586,
    ],
  ],
  [
    2,
    5,
    [
      2.5828782935406356e-4, 0.026763191142755053, 0.16116291679032652, 0.26444998329566005,
      0.5103163065514917, 0.9555730480299243,
    ],
  ],
  [
    0.5,
    0.5,
    [
      2.46740110027031e-12, 2.4671981713422146e-4, 0.14644660940672624, 0.5, 0.9755282581475768,
      0.9999999999975326,
    ],
  ],
])('quantiles of the beta distribution of shape %d, %d', (a, b, expected) => {
  for (const [i, share] of SHARES.entries()) {
    const wanted = expected[i] as number;
    expect(Math.abs(betaQuantile(share, a, b) / wanted - 1)).toBeLessThan(1e-12);
  }
  expect([betaQuantile(0, a, b), betaQuantile(1, a, b)]).toEqual([0, 1]);
});

test('a sigma’s timestep is that of the training step, and between them where it lies in log sigma', () => {
  const sigmas = Float64Array.from({ length: 5 }, (_, i) => Math.fround(Math.exp(i)));
  const logs = logSigmas(sigmas);
  expect([...sigmas].map((sigma) => timestepOfSigma(sigma, logs))).toEqual([0, 1, 2, 3, 4]);
  expect(timestepOfSigma(Math.exp(2.25), logs)).toBeCloseTo(2.25, 6);
  // Clamped to the ends.
  expect([timestepOfSigma(0, logs), timestepOfSigma(1e9, logs)]).toEqual([0, 4]);
});

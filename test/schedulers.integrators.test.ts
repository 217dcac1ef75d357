import { describe, expect, test } from '@jest/globals';
import { lagrangeIntegrals } from '../lib/math/exponential-integrals.js';
import { expectClose, sampleNumber, stable } from './sample.js';

/** By Simpson's rule. */
function integral(f: (u: number) => number, from: number, to: number): number {
  const count = 2000;
  const step = (to - from) / count;
  let sum = f(from) + f(to);
  for (let i = 1; i < count; i++) sum += (i % 2 === 1 ? 4 : 2) * f(from + i * step);
  return (sum * step) / 3;
}

test.each([1, -1, 2, 1.16])('polynomials times exp(%p u) are integrated exactly', (rate) => {
  const nodes = [0.3, -0.4, -1.2, -1.5];
  const weights = lagrangeIntegrals(nodes, { from: 0.3, to: 1.1, rate });
  const cubic = (u: number) => 2 - u + 0.5 * u ** 2 + 3 * u ** 3;
  const sum = nodes.reduce((total, node, i) => total + cubic(node) * (weights[i] as number), 0);
  const exact = integral((u) => Math.exp(rate * (u - 1.1)) * cubic(u), 0.3, 1.1);
  expect(sum).toBeCloseTo(exact, 9);
});

/** A quantity of the model that is a polynomial of lambda, whatever the latents are. */
const POLYNOMIALS = [
  () => 0.8,
  (u: number) => 0.8 - 0.2 * u,
  (u: number) => 0.8 - 0.2 * u + 0.1 * u ** 2,
  (u: number) => 0.8 - 0.2 * u + 0.1 * u ** 2 - 0.03 * u ** 3,
];

const lambda = (sigma: number) => -Math.log(sigma);
const alpha = (sigma: number) => 1 / Math.hypot(1, sigma);

/** Runs with a model that says the polynomial, from `first` on, when enough outputs are known. */
function walk(
  name: string,
  config: object,
  type: 'sample' | 'epsilon',
  polynomial: (u: number) => number,
  noise: number,
) {
  const scheduler = stable(name, { use_exponential_sigmas: true, prediction_type: type, ...config });
  let call = 0;
  const { sigmas } = scheduler.compile({ steps: 20 });
  const model = () => polynomial(lambda(sigmas?.[call++] as number));
  const { samples } = sampleNumber(scheduler, { steps: 20 }, { x: 0.4, model, noise: () => noise });
  return { samples, sigmas: sigmas as number[] };
}

describe('DEIS', () => {
  test.each([1, 2, 3])('of order %i is exact where the noise is a polynomial of that many terms', (order) => {
    const polynomial = POLYNOMIALS[order - 1] as (u: number) => number;
    const { samples, sigmas } = walk('DEIS', { solver_order: order }, 'epsilon', polynomial, 0);
    // d(x / alpha) = noise d(sigma / alpha)
    for (let i = 4; i < 19; i++) {
      const [s, t] = [sigmas[i] as number, sigmas[i + 1] as number];
      const slope = integral((u) => -Math.exp(-u) * polynomial(u), lambda(s), lambda(t));
      const expected = alpha(t) * ((samples[i - 1] as number) / alpha(s) + slope);
      expectClose([samples[i] as number], [expected], 1e-7);
    }
  });

  test('the last step of spaced sigmas goes nowhere', () => {
    const { samples, sigmas } = walk('DEIS', {}, 'epsilon', POLYNOMIALS[1] as (u: number) => number, 0);
    expect(sigmas.at(-1)).toBe(sigmas.at(-2));
    expectClose(samples.slice(-1), samples.slice(-2, -1), 1e-9);
  });
});

describe('SA-Solver', () => {
  test.each([
    [1, 0],
    [3, 0],
    [4, 0.7],
    [3, 1],
  ])('of order %i with tau %p is exact where x0 is a polynomial of that many terms', (order, tau) => {
    const polynomial = POLYNOMIALS[order - 1] as (u: number) => number;
    const config = {
      predictor_order: order,
      corrector_order: order,
      tau_func: tau,
      lower_order_final: false,
    };
    const { samples, sigmas } = walk('SASolver', config, 'sample', polynomial, 0.6);
    const square = 1 + tau ** 2;
    for (let i = 6; i < 18; i++) {
      const [s, t] = [sigmas[i] as number, sigmas[i + 1] as number];
      const [from, to] = [lambda(s), lambda(t)];
      const scale = t * alpha(t);
      const drift =
        square *
        scale *
        Math.exp(-(tau ** 2) * to) *
        integral((u) => Math.exp(square * u) * polynomial(u), from, to);
      const noise = scale * Math.sqrt(1 - Math.exp(-2 * tau ** 2 * (to - from))) * 0.6;
      const kept = Math.exp(-(tau ** 2) * (to - from)) * (scale / (s * alpha(s)));
      // The corrector of an exact prediction changes nothing.
      expectClose([samples[i] as number], [kept * (samples[i - 1] as number) + drift + noise], 1e-6);
    }
  });

  test('adds noise at timesteps from 200 to 800', () => {
    const run = (noise: number) =>
      walk('SASolver', { use_exponential_sigmas: false }, 'sample', () => 0.3, noise).samples;
    const differences = run(1).map((sample, i) => Math.abs(sample - (run(0)[i] as number)) > 1e-9);
    const { timesteps } = stable('SASolver').compile({ steps: 20 });
    expect(differences.indexOf(true)).toBe(timesteps.findIndex((t) => t <= 800));
  });

  test('draws in every call, and takes its levels from the timesteps', () => {
    const scheduler = stable('SASolver', { use_karras_sigmas: true });
    const { noiseUsed, addNoiseLevels, timesteps } = scheduler.compile({ steps: 6 });
    expect(noiseUsed).toHaveLength(6);
    const share = scheduler.alphasCumprod[timesteps[3] as number] as number;
    expect(addNoiseLevels[3]).toEqual({ sqrtAlpha: Math.sqrt(share), sigma: Math.sqrt(1 - share) });
  });

  test.each([
    [{ predictor_order: 5 }, 'predictor_order'],
    [{ corrector_order: 0 }, 'corrector_order'],
    [{ tau_func: -1 }, 'tau_func'],
    [{ algorithm_type: 'dpmsolver++' }, 'algorithm_type'],
    [{ algorithm_type: 'noise_prediction', thresholding: true }, 'thresholding'],
  ])('%j is refused', (config, field) => {
    expect(() => stable('SASolver', config)).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_CONFIG', field }),
    );
  });
});

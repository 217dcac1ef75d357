import { describe, expect, test } from '@jest/globals';
import { expectClose, sampleNumber, stable, wavy } from './sample.js';

const close = (values: readonly number[] | undefined, expected: number[]) =>
  expectClose(values ?? [], expected, 1e-6);

describe('models of EDM', () => {
  /** Karras et al. 2022, equation 5. */
  const karras = (place: number, [low, high, rho]: [number, number, number]) =>
    (high ** (1 / rho) + place * (low ** (1 / rho) - high ** (1 / rho))) ** rho;

  test('have noise levels of their own, and the logarithm for a timestep', () => {
    const { sigmas, timesteps, initNoiseSigma } = stable('EDMEuler').compile({ steps: 5 });
    const levels = [0, 0.25, 0.5, 0.75, 1].map((place) => karras(place, [0.002, 80, 7]));
    close(sigmas, [...levels, 0]);
    close(
      timesteps,
      levels.map((sigma) => Math.log(sigma) / 4),
    );
    expect(initNoiseSigma).toBeCloseTo(Math.sqrt(6401), 9);
  });

  test('exponential ones are even in the logarithm', () => {
    const config = { sigma_schedule: 'exponential', sigma_min: 0.01, sigma_max: 10 };
    const { sigmas } = stable('EDMDPMSolver', config).compile({ steps: 4 });
    close(sigmas, [10, 1, 0.1, 0.01, 0]);
  });

  test('places of one’s own lie between the ends', () => {
    const { sigmas } = stable('EDMEuler', { final_sigmas_type: 'sigma_min' }).compile({
      sigmas: [0, 0.4, 1],
    });
    close(sigmas, [80, karras(0.4, [0.002, 80, 7]), 0.002, 0.002]);
    for (const wrong of [[80, 1], [0.5, 0.5], [-0.1], []]) {
      expect(() => stable('EDMEuler').compile({ sigmas: wrong })).toThrow(
        /sigmas of EDMEulerScheduler must rise/,
      );
    }
    expect(() => stable('EDMDPMSolver').compile({ sigmas: [0, 1] })).toThrow(/sigmas of your own cannot/);
  });

  test.each(['epsilon', 'v_prediction'])('Euler’s step with churn, %s', (type) => {
    const options = { steps: 3, sChurn: 0.9, sNoise: 1.1, sTmax: 50 };
    const noise = (draw: number) => draw - 0.4;
    const { compiled, samples } = sampleNumber(stable('EDMEuler', { prediction_type: type }), options, {
      x: 60,
      noise,
    });
    const sigmas = compiled.sigmas as number[];
    let x = 60;
    let draws = 0;
    const expected = [0, 1, 2].map((i) => {
      const sigma = sigmas[i] as number;
      const said = wavy(x / Math.hypot(sigma, 0.5), Math.log(sigma) / 4);
      const raised = sigma <= 50 ? sigma * 1.3 : sigma;
      if (raised > sigma) x += 1.1 * noise(draws++) * Math.sqrt(raised ** 2 - sigma ** 2);
      const both = raised ** 2 + 0.25;
      const sign = type === 'epsilon' ? 1 : -1;
      const picture = (0.25 / both) * x + ((sign * raised * 0.5) / Math.sqrt(both)) * said;
      x += ((x - picture) / raised) * ((sigmas[i + 1] as number) - raised);
      return x;
    });
    expectClose(samples, expected, 1e-6);
    expect(compiled.noiseUsed).toEqual([true, true]);
  });

  test.each([
    ['EDMEuler', { sigma_min: 90 }, 'sigma_max'],
    ['EDMEuler', { prediction_type: 'sample' }, 'prediction_type'],
    ['EDMEuler', { rho: 0 }, 'rho'],
    ['EDMEuler', { sigma_schedule: 'linear' }, 'sigma_schedule'],
    ['EDMDPMSolver', { solver_order: 3, algorithm_type: 'sde-dpmsolver++' }, 'solver_order'],
    ['EDMDPMSolver', { algorithm_type: 'dpmsolver' }, 'algorithm_type'],
    ['CosineDPMSolver', { solver_order: 3 }, 'solver_order'],
  ])('%s with %j is refused', (name, config, field) => {
    expect(() => stable(name, config)).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_CONFIG', field }),
    );
  });

  test('Cosine’s timesteps are angles, and each call draws', () => {
    const { sigmas, timesteps, noiseDraws } = stable('CosineDPMSolver', { sigma_max: 30 }).compile({
      steps: 3,
    });
    close(sigmas, [30, 3, 0.3, 0]);
    close(
      timesteps,
      [30, 3, 0.3].map((sigma) => Math.atan2(sigma, 1) / (Math.PI / 2)),
    );
    expect(noiseDraws).toBe(3);
  });
});

describe('IPNDM', () => {
  test('goes from noise, 1, to the picture, 0', () => {
    const { timesteps, sigmas } = stable('IPNDM').compile({ steps: 4 });
    const betas = [1, 0.75, 0.5, 0.25].map((angle) => Math.sin((angle * Math.PI) / 2) ** 2);
    close(sigmas, [...betas, 0]);
    close(
      timesteps,
      betas.map((beta) => Math.asin(beta) / (Math.PI / 2)),
    );
  });

  test('averages the last slopes as Adams and Bashforth do', () => {
    const { compiled, samples } = sampleNumber(stable('IPNDM'), { steps: 5 }, { x: 0.8 });
    const sigmas = compiled.sigmas as number[];
    const alpha = (sigma: number) => Math.sqrt(1 - sigma ** 2);
    const weights = [[1], [1.5, -0.5], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]];
    const slopes: number[] = [];
    let x = 0.8;
    const expected = compiled.timesteps.map((t, i) => {
      const [sigma, next] = [sigmas[i] as number, sigmas[i + 1] as number];
      slopes.unshift(sigma * x + alpha(sigma) * wavy(x, t));
      const mean = (weights[Math.min(i, 3)] as number[]).reduce(
        (sum, w, k) => sum + w * (slopes[k] as number),
        0,
      );
      // Of pure noise there is no picture.
      const picture = i === 0 ? 0 : (x - sigma * mean) / alpha(sigma);
      x = alpha(next) * picture + next * mean;
      return x;
    });
    expectClose(samples, expected, 1e-6);
  });

  test('in one step arrives at nothing', () => {
    expect(sampleNumber(stable('IPNDM'), { steps: 1 }, { x: 0.8 }).samples).toEqual([0]);
  });

  test('betas of one’s own must fit the steps', () => {
    const own = stable('IPNDM', { trained_betas: [0.9, 0.5, 0.1] });
    close(own.compile({ steps: 2 }).sigmas, [0.9, 0.5, 0.1]);
    expect(() => own.compile({ steps: 3 })).toThrow(/steps must be one fewer than the 3 trained_betas/);
  });
});

describe('Euler along a flow', () => {
  const levels = (config: object, options: object) =>
    stable('FlowMatchEuler', config).compile(options).sigmas ?? [];
  const shifted = (sigma: number, shift: number) => 1 / (1 + (1 / sigma - 1) / shift);

  test('goes from 1 to the lowest training level, which is shifted twice', () => {
    close(levels({}, { steps: 4 }), [1, 0.667, 0.334, 0.001, 0]);
    const low = shifted(0.001, 3);
    const middle = (1 + low) / 2;
    close(levels({ shift: 3 }, { steps: 3 }), [1, shifted(middle, 3), shifted(low, 3), 0]);
  });

  test('mu shifts once', () => {
    const config = { use_dynamic_shifting: true };
    const grid = [1, 0.5005, 0.001];
    close(levels(config, { steps: 3, mu: 0.8 }), [...grid.map((s) => shifted(s, Math.exp(0.8))), 0]);
    const linear = { ...config, time_shift_type: 'linear' };
    close(levels(linear, { steps: 3, mu: 0.8 }), [...grid.map((s) => shifted(s, 0.8)), 0]);
    expect(() => levels(config, { steps: 3 })).toThrow(/mu must be given/);
  });

  test('own levels, inverted ones, and ones that end before', () => {
    close(levels({}, { sigmas: [0.9, 0.3] }), [0.9, 0.3, 0]);
    close(levels({}, { timesteps: [900, 300] }), [0.9, 0.3, 0]);
    close(levels({ invert_sigmas: true }, { sigmas: [0.9, 0.3] }), [0.1, 0.7, 1]);
    close(levels({ shift_terminal: 0.1 }, { sigmas: [1, 0.5, 0.2] }), [1, 0.4375, 0.1, 0]);
    close(levels({ use_exponential_sigmas: true }, { sigmas: [0.8, 0.5, 0.2] }), [0.8, 0.4, 0.2, 0]);
  });

  test('each step follows the velocity, or noises the picture anew', () => {
    const noise = (draw: number) => 0.3 + draw;
    const run = (config: object) =>
      sampleNumber(stable('FlowMatchEuler', config), { sigmas: [0.8, 0.5] }, { x: 0.4, noise });
    let x = 0.4;
    const straight = [
      [0.8, 0.5],
      [0.5, 0],
    ].map(([s = 0, t = 0]) => {
      x -= (s - t) * wavy(x, 1000 * s);
      return x;
    });
    expectClose(run({}).samples, straight);
    x = 0.4;
    const anew = [
      [0.8, 0.5, 0.3],
      [0.5, 0, 1.3],
    ].map(([s = 0, t = 0, n = 0]) => {
      x = (1 - t) * (x - s * wavy(x, 1000 * s)) + t * n;
      return x;
    });
    const stochastic = run({ stochastic_sampling: true });
    expectClose(stochastic.samples, anew);
    expect(stochastic.compiled.noiseDraws).toBe(2);
  });
});

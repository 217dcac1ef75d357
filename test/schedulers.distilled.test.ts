import { describe, expect, test } from '@jest/globals';
import { LCMScheduler, type Scheduler, TCDScheduler } from '../lib/schedulers/index.js';
import { expectClose, sampleNumber, stable, wavy } from './sample.js';

/** The last of the distilled timesteps is 999, and they are 20 apart. */
const FOUR = [999, 759, 499, 259];

/**
 * Strategic stochastic sampling (Zheng et al. 2024, algorithm 2), word by word: from t to (1 - gamma) t' along the
 * trajectory, then noise up to t'.
 */
function strategic(scheduler: Scheduler, timesteps: number[], gamma: number, x: number, noise: number[]) {
  const alpha = (t: number) => Math.sqrt(scheduler.alphasCumprod[t] as number);
  const sigma = (t: number) => Math.sqrt(1 - (scheduler.alphasCumprod[t] as number));
  return timesteps.map((t, i) => {
    const next = timesteps[i + 1] ?? 0;
    const s = Math.floor((1 - gamma) * next + 1e-4);
    const epsilon = wavy(x, t);
    const clean = (x - sigma(t) * epsilon) / alpha(t);
    const below = alpha(s) * clean + sigma(s) * epsilon;
    const ratio = alpha(next) / alpha(s);
    x = i === timesteps.length - 1 ? below : ratio * below + Math.sqrt(1 - ratio ** 2) * (noise[i] as number);
    return x;
  });
}

describe('TCD', () => {
  const NOISE = [0.4, -1.3, 0.8];

  test.each([0, 0.3, 1])('with eta %p jumps below the next timestep and adds noise up to it', (eta) => {
    const tcd = stable('TCD');
    const { compiled, samples } = sampleNumber(
      tcd,
      { steps: 4, eta },
      { x: 0.7, noise: (draw) => NOISE[draw] as number },
    );
    expect(compiled.timesteps).toEqual(FOUR);
    expectClose(samples, strategic(tcd, FOUR, eta, 0.7, NOISE));
    expect(compiled.noiseUsed).toEqual(eta === 0 ? [] : [true, true, true]);
  });

  test('a run that does not say eta is diffusers’ step(): 0.3', () => {
    const run = (options: object) => sampleNumber(stable('TCD'), { steps: 3, ...options }, { x: 1 }).samples;
    expect(run({})).toEqual(run({ eta: 0.3 }));
    expect(() => run({ eta: 1.1 })).toThrow(/eta must be a number from 0 to 1/);
  });

  test('in a single step is one jump to the lowest timestep', () => {
    const { compiled, samples } = sampleNumber(stable('TCD'), { timesteps: [800], eta: 1 }, { x: -0.3 });
    expectClose(samples, strategic(stable('TCD'), [800], 1, -0.3, []));
    expect(compiled.noiseDraws).toBe(0);
  });
});

describe('distilled timesteps', () => {
  test('originalInferenceSteps is another stride for LCM and all timesteps for TCD', () => {
    const options = { steps: 4, originalInferenceSteps: 100 };
    expect(new LCMScheduler().compile(options).timesteps).toEqual([999, 749, 499, 249]);
    expect(new TCDScheduler().compile(options).timesteps).toEqual([999, 749, 499, 249]);
    const three = { steps: 3, originalInferenceSteps: 100 };
    expect(new LCMScheduler().compile(three).timesteps).toEqual([999, 669, 339]);
    expect(new TCDScheduler().compile(three).timesteps).toEqual([999, 666, 333]);
  });

  test('strength leaves the lower ones', () => {
    expect(new TCDScheduler().compile({ steps: 3, strength: 0.6 }).timesteps).toEqual([599, 399, 199]);
  });

  test.each([
    [{ steps: 51 }, /steps must not be more than the 50/],
    [{ steps: 20, strength: 0.2 }, /steps must not be more than the 10/],
    [{ steps: 11, originalInferenceSteps: 10 }, /steps must not be more than the 10/],
    [{ steps: 4, originalInferenceSteps: 0 }, /originalInferenceSteps must be/],
    [{ timesteps: [999, 499], strength: 0.5 }, /strength of the sampler and timesteps/],
    [{ timesteps: [500.5] }, /timesteps must be whole/],
  ])('%j is refused', (options, message) => {
    for (const Sampler of [LCMScheduler, TCDScheduler]) {
      expect(() => new Sampler().compile(options)).toThrow(message);
    }
  });
});

import { describe, expect, test } from '@jest/globals';
import { expectClose, sampleNumber, stable, wavy } from './sample.js';

/** k-diffusion's sample_dpmpp_sde with eta 1 and r 1/2, over its noise levels. */
function reference(sigmas: number[], timesteps: number[], x: number, noise: (draw: number) => number) {
  const picture = (sample: number, sigma: number, call: number) =>
    sample - sigma * wavy(sample / Math.hypot(1, sigma), timesteps[call] as number);
  const step = (from: number, to: number, sample: number, seen: number, drawn: number) => {
    const up = to * Math.sqrt(1 - (to / from) ** 2);
    const down = to ** 2 / from;
    return (down / from) * sample + (1 - down / from) * seen + up * drawn;
  };
  const after: number[] = [];
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i] as number, sigmas[i + 1] as number];
    const first = picture(x, from, 2 * i);
    if (to === 0) return [...after, first];
    const middle = Math.sqrt(from * to);
    const half = step(from, middle, x, first, noise(2 * i));
    x = step(from, to, x, picture(half, middle, 2 * i + 1), noise(2 * i + 1));
    after.push(half, x);
  }
  return after;
}

describe('DPM++ SDE', () => {
  const noise = (draw: number) => Math.sin(draw + 0.5);

  test.each([
    {},
    { use_karras_sigmas: true },
    { timestep_spacing: 'trailing' },
    { use_exponential_sigmas: true },
  ])('is k-diffusion’s, %j', (config) => {
    const { compiled, samples } = sampleNumber(stable('DPM++ SDE', config), { steps: 5 }, { x: 9, noise });
    const levels = (compiled.sigmas as number[]).filter((_, i) => i % 2 === 1 || i === 0);
    expect(levels).toHaveLength(6);
    expectClose(samples, reference(levels, compiled.timesteps, 9, noise), 1e-5);
    expect(compiled.noiseDraws).toBe(8);
    expect(compiled.steps).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5]);
  });

  test('its draws are ways of a motion from each level half-way and all the way', () => {
    const { motion, sigmas = [] } = stable('DPM++ SDE', { noise_sampler_seed: 7 }).compile({ steps: 3 });
    expect(motion).toMatchObject({ seed: 7, high: sigmas[0], low: sigmas[4] });
    const flat = motion?.ways.flat() ?? [];
    const [a, b, c] = [sigmas[0], sigmas[1], sigmas[3]] as [number, number, number];
    expectClose(flat, [a, Math.sqrt(a * b), a, b, b, Math.sqrt(b * c), b, c], 1e-6);
    expect(stable('DPM++ SDE').compile({ steps: 3 }).motion?.seed).toBeNull();
  });

  test('a run that starts at a later step walks on the same motion', () => {
    const whole = stable('DPM++ SDE').compile({ steps: 5 });
    const part = stable('DPM++ SDE').compile({ steps: 5, strengthStart: 4 });
    expect(part.motion?.ways).toEqual(whole.motion?.ways.slice(4));
    expect([part.motion?.low, part.motion?.high]).toEqual([whole.motion?.low, whole.motion?.high]);
  });

  test('sNoise scales its noise, to none', () => {
    const run = (sNoise: number) =>
      sampleNumber(stable('DPM++ SDE'), { steps: 4, sNoise }, { x: 9, noise }).compiled;
    expect(run(0).noiseUsed.includes(true)).toBe(false);
    expect(run(1.1).noiseUsed.every(Boolean)).toBe(true);
  });

  test.each([
    [{ prediction_type: 'sample' }, 'prediction_type'],
    [{ noise_sampler_seed: -1 }, 'noise_sampler_seed'],
    [{ noise_sampler_seed: 1.5 }, 'noise_sampler_seed'],
  ])('%j is refused', (config, field) => {
    expect(() => stable('DPMSolverSDE', config)).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_CONFIG', field }),
    );
  });
});

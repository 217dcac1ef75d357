import { describe, expect, test } from '@jest/globals';
import { expectClose, sampleNumber, stable, wavy } from './sample.js';

/** Calls at the middle of a step, in log sigma, as the samplers of k-diffusion with a 2 in their names make them. */
describe.each(['KDPM2', 'KDPM2Ancestral'])('%s', (name) => {
  const ancestral = name === 'KDPM2Ancestral';
  const noise = (draw: number) => Math.cos(draw + 1);

  /** The sampler as one function over its noise levels. */
  function reference(sigmas: number[], timesteps: number[], x: number): number[] {
    const slope = (sample: number, sigma: number, call: number) =>
      wavy(sample / Math.hypot(1, sigma), timesteps[call] as number);
    const after: number[] = [];
    for (let i = 0; i + 1 < sigmas.length; i++) {
      const [from, to] = [sigmas[i] as number, sigmas[i + 1] as number];
      const first = slope(x, from, 2 * i);
      if (to === 0) return [...after, x - from * first];
      const up = ancestral ? to * Math.sqrt(1 - (to / from) ** 2) : 0;
      const down = ancestral ? to ** 2 / from : to;
      const middle = Math.exp((Math.log(from) + Math.log(down)) / 2);
      const half = x + (middle - from) * first;
      x += (down - from) * slope(half, middle, 2 * i + 1) + up * noise(i);
      after.push(half, x);
    }
    return after;
  }

  test.each([{}, { use_karras_sigmas: true }, { timestep_spacing: 'trailing' }, { use_beta_sigmas: true }])(
    'looks half-way and takes the slope from there, %j',
    (config) => {
      const scheduler = stable(name, config);
      const { compiled, samples } = sampleNumber(scheduler, { steps: 5 }, { x: 9, noise });
      const levels = (compiled.sigmas as number[]).filter((_, i) => i % 2 === 1 || i === 0).slice(0, 6);
      // Single precision cancels much of the sigma below the next one.
      expectClose(samples, reference(levels, compiled.timesteps, 9), 2e-4);
      expect(compiled.noiseUsed).toEqual(ancestral ? [true, true, true, true] : []);
      expect(compiled.steps).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5]);
    },
  );

  test('a run that starts at a later step is the end of the whole one', () => {
    const whole = sampleNumber(stable(name), { steps: 5 }, { x: 9, noise });
    const x = whole.samples[3] as number;
    const later = (draw: number) => noise(draw + 2);
    const part = sampleNumber(stable(name), { steps: 5, strengthStart: 4 }, { x, noise: later });
    expectClose(part.samples, whole.samples.slice(4));
  });

  test('Karras timesteps are whole but for the middles', () => {
    const { timesteps } = stable(name, { use_karras_sigmas: true }).compile({ steps: 6 });
    const whole = timesteps.filter((_, i) => i === 0 || i % 2 === 0);
    expect(whole.every(Number.isInteger)).toBe(true);
  });

  test('predicts noise or velocity alone', () => {
    expect(() => stable(name, { prediction_type: 'sample' })).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_CONFIG', field: 'prediction_type' }),
    );
  });
});

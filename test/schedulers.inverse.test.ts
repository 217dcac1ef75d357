import { describe, expect, test } from '@jest/globals';
import { expectClose, sampleNumber, stable, wavy } from './sample.js';

const CONFIG = { clip_sample: false, set_alpha_to_one: false, steps_offset: 1 };

describe('DDIM backwards', () => {
  test.each(['epsilon', 'v_prediction'])('takes the %s at a timestep for that of the level below', (type) => {
    const scheduler = stable('DDIMInverse', { ...CONFIG, prediction_type: type });
    const { compiled, samples } = sampleNumber(scheduler, { steps: 4 }, { x: 0.6 });
    expect(compiled.timesteps).toEqual([1, 251, 501, 751]);
    const share = (t: number) => scheduler.alphasCumprod[Math.max(t, 0)] as number;
    let x = 0.6;
    const expected = [1, 251, 501, 751].map((t) => {
      const [from, to] = [share(t - 250), share(t)];
      const said = wavy(x, t);
      const noise = type === 'epsilon' ? said : Math.sqrt(from) * said + Math.sqrt(1 - from) * x;
      const picture = (x - Math.sqrt(1 - from) * noise) / Math.sqrt(from);
      x = Math.sqrt(to) * picture + Math.sqrt(1 - to) * noise;
      return x;
    });
    expectClose(samples, expected);
  });

  test('and forwards again is where it was, the closer the more steps', () => {
    const away = [50, 500].map((steps) => {
      const up = sampleNumber(stable('DDIMInverse', CONFIG), { steps }, { x: 0.6 });
      const x = up.samples.at(-1) as number;
      const down = sampleNumber(stable('DDIM', CONFIG), { steps }, { x });
      return Math.abs((down.samples.at(-1) as number) - 0.6);
    }) as [number, number];
    expect(away[0]).toBeLessThan(0.1);
    expect(away[1]).toBeLessThan(away[0] / 5);
  });

  test('clips the picture, and starts from a clean one if asked', () => {
    const clipped = stable('DDIMInverse', { ...CONFIG, clip_sample: true, set_alpha_to_one: true });
    const { samples } = sampleNumber(clipped, { steps: 4 }, { x: 5 });
    const share = clipped.alphasCumprod[1] as number;
    expectClose(samples.slice(0, 1), [Math.sqrt(share) + Math.sqrt(1 - share) * wavy(5, 1)]);
  });

  test.each([
    [{ timestep_spacing: 'linspace' }, 'timestep_spacing'],
    [{ clip_sample_range: 0, clip_sample: true }, 'clip_sample_range'],
  ])('%j is refused', (config, field) => {
    expect(() => stable('DDIMInverse', config)).toThrow(expect.objectContaining({ field }));
  });

  test('takes no timesteps of one’s own', () => {
    expect(() => stable('DDIMInverse').compile({ timesteps: [900, 100] })).toThrow(
      /timesteps of your own cannot be used with DDIMInverseScheduler/,
    );
  });
});

describe('DPM-Solver backwards', () => {
  const timesteps = (config: object, steps = 5) =>
    stable('DPMSolverMultistepInverse', config).compile({ steps }).timesteps;

  test('leaves the highest timestep for the end', () => {
    expect(timesteps({})).toEqual([0, 200, 400, 599, 799]);
    expect(timesteps({ timestep_spacing: 'leading', steps_offset: 1 })).toEqual([1, 167, 333, 499, 665]);
    expect(timesteps({ timestep_spacing: 'trailing' })).toEqual([199, 399, 599, 799, 999]);
  });

  test('spaced sigmas rise, and the last one stands twice', () => {
    const { sigmas = [] } = stable('DPMSolverMultistepInverse', { use_karras_sigmas: true }).compile({
      steps: 5,
    });
    expect(sigmas.slice(0, 5)).toEqual([...sigmas.slice(0, 5)].sort((a, b) => a - b));
    expect(sigmas[5]).toBe(sigmas[4]);
  });

  test('timesteps that come twice are left out', () => {
    const scheduler = stable('DPMSolverMultistepInverse', { use_karras_sigmas: true });
    const run = scheduler.compile({ steps: 400 });
    expect(new Set(run.timesteps).size).toBe(run.timesteps.length);
    expect(run.timesteps.length).toBeLessThan(400);
    expect(run.sigmas).toHaveLength(401);
  });

  test.each(['sde-dpmsolver', 'sde-dpmsolver++'])('%s has no way back', (algorithm_type) => {
    expect(() => stable('DPMSolverMultistepInverse', { algorithm_type })).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_CONFIG', field: 'algorithm_type' }),
    );
  });
});

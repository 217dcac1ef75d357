import { describe, expect, test } from '@jest/globals';
import {
  type CompileOptions,
  DDIMScheduler,
  DDPMScheduler,
  DPMSolverMultistepScheduler,
  EulerDiscreteScheduler,
  HeunDiscreteScheduler,
  LCMScheduler,
  PNDMScheduler,
  Scheduler,
  schedulerNames,
} from '../lib/schedulers/index.js';

/** As Stable Diffusion 1.5 has it: no timestep_spacing, no prediction_type. */
const SD15 = {
  _class_name: 'PNDMScheduler',
  _diffusers_version: '0.6.0',
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  beta_start: 0.00085,
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  trained_betas: null,
  clip_sample: false,
};

const code = (run: () => unknown): { code?: unknown; message: string } => {
  try {
    run();
  } catch (error) {
    return error as { code?: unknown; message: string };
  }
  throw new Error('nothing was thrown');
};

describe('fromConfig', () => {
  test('finds the class by _class_name, with and without Scheduler', () => {
    expect(Scheduler.fromConfig(SD15)).toBeInstanceOf(PNDMScheduler);
    for (const name of ['EulerDiscreteScheduler', 'EulerDiscrete', 'euler', 'Euler']) {
      expect(Scheduler.fromConfig({ ...SD15, _class_name: name })).toBeInstanceOf(EulerDiscreteScheduler);
    }
    for (const name of schedulerNames()) {
      const short = name.replace(/Scheduler$/, '');
      expect(Scheduler.fromConfig({ _class_name: short }).className).toBe(name);
    }
  });

  test('another class inherits what was set, and its own defaults for the rest', () => {
    const pndm = Scheduler.fromConfig(SD15);
    expect(pndm.config.timestep_spacing).toBe('leading');
    const euler = EulerDiscreteScheduler.fromConfig(pndm);
    expect(euler.config).toMatchObject({ beta_end: 0.012, steps_offset: 1, timestep_spacing: 'linspace' });
    expect(euler.compile({ steps: 3 }).timesteps).toEqual([999, 499.5, 0]);
    const explicit = EulerDiscreteScheduler.fromConfig({ ...SD15, timestep_spacing: 'leading' });
    expect(explicit.compile({ steps: 3 }).timesteps).toEqual([667, 334, 1]);
  });

  test('fields of other classes survive the way through a class that does not know them', () => {
    const back = PNDMScheduler.fromConfig(EulerDiscreteScheduler.fromConfig(Scheduler.fromConfig(SD15)));
    expect(back.compile({ steps: 10 }).timesteps).toEqual(
      Scheduler.fromConfig(SD15).compile({ steps: 10 }).timesteps,
    );
    expect(back.config).toMatchObject({
      skip_prk_steps: true,
      clip_sample: false,
      timestep_spacing: 'leading',
    });
  });

  test('_use_default_values are not inherited', () => {
    const stored = { ...SD15, timestep_spacing: 'leading', _use_default_values: ['timestep_spacing'] };
    expect(EulerDiscreteScheduler.fromConfig(stored).config.timestep_spacing).toBe('linspace');
  });

  test('overrides win, may name the class, and must be known', () => {
    const euler = Scheduler.fromConfig(SD15, { _class_name: 'EulerDiscrete', use_karras_sigmas: true });
    expect(euler.config.use_karras_sigmas).toBe(true);
    expect(code(() => Scheduler.fromConfig(SD15, { use_karas_sigmas: true }))).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringContaining('use_karas_sigmas'),
    });
  });

  test('sigma_min kept from an Euler configuration is honoured by the Karras spacing of others, as in diffusers', () => {
    const euler = EulerDiscreteScheduler.fromConfig({ ...SD15, sigma_min: 0.1, sigma_max: 10 });
    const heun = HeunDiscreteScheduler.fromConfig(euler, { use_karras_sigmas: true }).compile({ steps: 5 });
    expect(heun.sigmas?.[0]).toBeCloseTo(10, 5);
    expect(heun.sigmas?.at(-2)).toBeCloseTo(0.1, 6);
  });

  test('toConfig can be read back', () => {
    const config = DDIMScheduler.fromConfig(SD15).toConfig();
    expect(Scheduler.fromConfig(config)).toBeInstanceOf(DDIMScheduler);
    expect(config).toMatchObject({ _class_name: 'DDIMScheduler', clip_sample: false, skip_prk_steps: true });
  });

  test.each([
    ['ERR_DEEPCACHE_UNSUPPORTED', { _class_name: 'UnCLIPScheduler' }, 'UnCLIPScheduler'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', {}, '_class_name'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DDIM', beta_schedule: 'cosine' }, 'beta_schedule'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DDIM', prediction_type: 'flow' }, 'prediction_type'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DDIM', timestep_spacing: 'even' }, 'timestep_spacing'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DDIM', clip_sample: 'yes' }, 'clip_sample'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DDIM', beta_start: '0.1' }, 'beta_start'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DDIM', num_train_timesteps: 0 }, 'num_train_timesteps'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DDIM', trained_betas: [0.1, 0.2] }, 'trained_betas'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'PNDM', prediction_type: 'sample' }, 'prediction_type'],
    [
      'ERR_DEEPCACHE_INVALID_CONFIG',
      { _class_name: 'EulerAncestral', prediction_type: 'sample' },
      'prediction_type',
    ],
    [
      'ERR_DEEPCACHE_INVALID_CONFIG',
      { _class_name: 'Euler', interpolation_type: 'cubic' },
      'interpolation_type',
    ],
    [
      'ERR_DEEPCACHE_INVALID_CONFIG',
      { _class_name: 'DDPM', variance_type: 'learned_range' },
      'variance_type',
    ],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DPMSolver', solver_order: 4 }, 'solver_order'],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'DPMSolver', algorithm_type: 'ddim' }, 'algorithm_type'],
    [
      'ERR_DEEPCACHE_INVALID_CONFIG',
      { _class_name: 'DPMSolver', algorithm_type: 'sde-dpmsolver', solver_order: 3 },
      'solver_order',
    ],
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'UniPC', solver_p: {} }, 'solver_p'],
    // Not finite in diffusers.
    ['ERR_DEEPCACHE_INVALID_CONFIG', { _class_name: 'UniPC', lower_order_final: false }, 'lower_order_final'],
    [
      'ERR_DEEPCACHE_INVALID_CONFIG',
      { _class_name: 'DPMSolver', algorithm_type: 'sde-dpmsolver', final_sigmas_type: 'zero' },
      'final_sigmas_type',
    ],
  ])('%s for %j', (expected, config, named) => {
    expect(code(() => Scheduler.fromConfig(config))).toMatchObject({
      code: expected,
      message: expect.stringContaining(named),
    });
  });
});

describe('compile options', () => {
  const bad: [string, CompileOptions][] = [
    ['steps', { steps: 0 }],
    ['steps', { steps: -3 }],
    ['steps', { steps: Number.NaN }],
    ['steps', { steps: 2.5 }],
    ['steps', { steps: 1001 }],
    ['steps', { steps: '10' as unknown as number }],
    ['steps', {}],
    ['eta', { steps: 5, eta: -1 }],
    ['eta', { steps: 5, eta: Number.NaN }],
    ['strengthStart', { steps: 5, strengthStart: 5 }],
    ['strengthStart', { steps: 5, strengthStart: -1 }],
    ['strengthStart', { steps: 5, strengthStart: 1.5 }],
    ['sigmas', { sigmas: [10, 1] }],
    ['timesteps', { timesteps: [1, 2] }],
    ['timesteps', { timesteps: [] }],
    ['timesteps', { timesteps: [1000, 5] }],
    ['timesteps', { timesteps: [500.5, 5] }],
    ['steps', { timesteps: [900, 5], steps: 3 }],
  ];

  test.each(bad)('names %s in %j', (named, options) => {
    expect(code(() => new DDIMScheduler().compile(options))).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringContaining(named),
    });
  });

  test.each([
    ['PNDM needs four steps for Runge-Kutta', () => new PNDMScheduler().compile({ steps: 3 })],
    ['LCM cannot make more steps than it was distilled on', () => new LCMScheduler().compile({ steps: 51 })],
    [
      'LCM checks originalInferenceSteps',
      () => new LCMScheduler().compile({ steps: 4, originalInferenceSteps: 0 }),
    ],
    ['Euler checks sChurn', () => new EulerDiscreteScheduler().compile({ steps: 4, sChurn: Number.NaN })],
    ['LMS checks order', () => Scheduler.fromConfig({ _class_name: 'LMS' }).compile({ steps: 4, order: 0 })],
    [
      'a timestep beyond the training steps',
      () => new DDIMScheduler({ steps_offset: 1 }).compile({ steps: 1000 }),
    ],
    [
      'an infinite step: epsilon from a latent without any picture in it',
      () =>
        new DDIMScheduler({ rescale_betas_zero_snr: true, timestep_spacing: 'trailing' }).compile({
          steps: 10,
        }),
    ],
    [
      'the same of DDPM',
      () =>
        new DDPMScheduler({ rescale_betas_zero_snr: true, timestep_spacing: 'linspace' }).compile({
          steps: 10,
        }),
    ],
  ])('%s', (_, run) => {
    expect(code(run)).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  });

  test('timesteps of your own', () => {
    const timesteps = [999, 800, 250, 20];
    expect(new DDIMScheduler().compile({ timesteps }).timesteps).toEqual(timesteps);
    const euler = new EulerDiscreteScheduler().compile({ timesteps });
    const again = new EulerDiscreteScheduler().compile({ sigmas: euler.sigmas?.slice(0, -1) as number[] });
    again.timesteps.forEach((t, i) => void expect(t).toBeCloseTo(timesteps[i] as number, 2));
    expect(again.sigmas).toEqual(euler.sigmas);
  });

  test('DPM-Solver leaves out the timesteps below lambda_min_clipped', () => {
    const config = { beta_schedule: 'squaredcos_cap_v2', lambda_min_clipped: -5.1 };
    const { timesteps } = new DPMSolverMultistepScheduler(config).compile({ steps: 10 });
    expect(timesteps[0]).toBeLessThan(999);
    expect(timesteps[0]).toBeGreaterThan(900);
  });
});

describe('noise draws', () => {
  test('Euler draws where it churns', () => {
    const euler = new EulerDiscreteScheduler();
    expect(euler.compile({ steps: 4 }).noiseDraws).toBe(0);
    const churned = euler.compile({ steps: 4, sChurn: 1, sTmin: 1 });
    expect(churned.noiseUsed).toEqual([true, true, true]);
    expect(churned.rows.map((row) => row.noise)).toEqual([0, 1, 2, undefined]);
  });

  test('before v0.31 Euler drew once per step and threw it away, unless it churned', () => {
    const euler = new EulerDiscreteScheduler({ _diffusers_version: '0.30.3' });
    const plain = euler.compile({ steps: 4 });
    expect(plain.noiseDraws).toBe(4);
    expect(plain.noiseUsed).toEqual([false, false, false, false]);
    expect(plain.rows.every((row) => row.noise === undefined)).toBe(true);
    const churned = euler.compile({ steps: 4, sChurn: 1, sTmin: 1 });
    expect(churned.noiseUsed).toEqual([true, true, true, false]);
    expect(churned.rows.map((row) => row.noise)).toEqual([0, 1, 2, undefined]);
  });

  test('DDPM does not draw at timestep 0, LCM not in its last step', () => {
    expect(new DDPMScheduler().compile({ steps: 10 }).noiseDraws).toBe(9);
    expect(new DDPMScheduler({ steps_offset: 1 }).compile({ steps: 10 }).noiseDraws).toBe(10);
    expect(new LCMScheduler().compile({ steps: 4 }).noiseDraws).toBe(3);
    expect(new DDIMScheduler().compile({ steps: 4 }).noiseDraws).toBe(0);
    expect(new DDIMScheduler().compile({ steps: 4, eta: 0.5 }).noiseDraws).toBe(4);
  });
});

test('addNoise mixes at the level of a timestep', () => {
  const ddim = new DDIMScheduler();
  const alpha = ddim.alphasCumprod[500] as number;
  const [mixed] = ddim.addNoise([2], [3], 500);
  expect(mixed).toBeCloseTo(2 * Math.sqrt(alpha) + 3 * Math.sqrt(1 - alpha), 6);
  const euler = new EulerDiscreteScheduler();
  const compiled = euler.compile({ steps: 10 });
  const t = compiled.timesteps[4] as number;
  expect(euler.addNoise([2], [3], t, compiled)[0]).toBeCloseTo(2 + 3 * (compiled.sigmas?.[4] as number), 5);
  expect(code(() => euler.addNoise([2], [3], 123.4, compiled)).code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
  expect(code(() => ddim.addNoise([2], [3, 4], 5)).code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
});

test('halves are rounded to even timesteps, as numpy does', () => {
  const { timesteps } = new DDIMScheduler({ timestep_spacing: 'trailing' }).compile({ steps: 16 });
  // 937.5, 812.5 and 687.5, less 1.
  expect([timesteps[1], timesteps[3], timesteps[5]]).toEqual([937, 811, 687]);
});

test('the boundary condition of LCM: at small timesteps the latent itself counts', () => {
  const [row] = new LCMScheduler().compile({ timesteps: [1] }).rows;
  const coefficients = Object.fromEntries(row?.assign[0]?.terms.map((t) => [t.slot, t.coefficient]) ?? []);
  // timestep_scaling 10, sigma_data 0.5
  expect(coefficients.x).toBeCloseTo(0.25 / 100.25, 12);
  expect(coefficients.x0).toBeCloseTo(10 / Math.sqrt(100.25), 12);
});

import { describe, expect, test } from '@jest/globals';
import { UI_NAMES } from '../lib/schedulers/aliases.js';
import {
  DPMSolverMultistepScheduler,
  PNDMScheduler,
  Scheduler,
  schedulerNames,
} from '../lib/schedulers/index.js';
import { KNOWN_NAMES } from '../lib/schedulers/known-names.js';
import { findScheduler } from '../lib/schedulers/registry.js';

const SD = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear' };
const named = (name: string) => Scheduler.fromConfig({ _class_name: name, ...SD });

const DPM = 'DPMSolverMultistepScheduler';

describe('samplers as user interfaces call them', () => {
  test.each([
    ['Euler a', 'EulerAncestralDiscreteScheduler', {}],
    ['euler_a', 'EulerAncestralDiscreteScheduler', {}],
    ['euler_ancestral', 'EulerAncestralDiscreteScheduler', {}],
    ['k_euler_a', 'EulerAncestralDiscreteScheduler', {}],
    ['EULER', 'EulerDiscreteScheduler', {}],
    ['euler', 'EulerDiscreteScheduler', {}],
    ['Euler Karras', 'EulerDiscreteScheduler', { use_karras_sigmas: true }],
    ['euler_k', 'EulerDiscreteScheduler', { use_karras_sigmas: true }],
    ['dpmpp_2m_sde_k', DPM, { algorithm_type: 'sde-dpmsolver++', use_karras_sigmas: true }],
    ['Heun', 'HeunDiscreteScheduler', {}],
    ['LMS', 'LMSDiscreteScheduler', {}],
    ['LMS Karras', 'LMSDiscreteScheduler', { use_karras_sigmas: true }],
    ['DDIM', 'DDIMScheduler', {}],
    ['ddim_trailing', 'DDIMScheduler', { timestep_spacing: 'trailing' }],
    ['PLMS', 'PNDMScheduler', { skip_prk_steps: true }],
    ['UniPC', 'UniPCMultistepScheduler', {}],
    ['uni_pc', 'UniPCMultistepScheduler', {}],
    ['uni_pc_bh2', 'UniPCMultistepScheduler', { solver_type: 'bh2' }],
    ['LCM', 'LCMScheduler', {}],
    ['DPM++ 2M', DPM, { algorithm_type: 'dpmsolver++', solver_order: 2, use_karras_sigmas: false }],
    ['dpm++2m', DPM, { algorithm_type: 'dpmsolver++', use_karras_sigmas: false }],
    ['dpmpp_2m', DPM, { algorithm_type: 'dpmsolver++', use_karras_sigmas: false }],
    ['k_dpmpp_2m', DPM, { algorithm_type: 'dpmsolver++', use_karras_sigmas: false }],
    ['DPM++ 2M Karras', DPM, { algorithm_type: 'dpmsolver++', use_karras_sigmas: true }],
    ['DPM++ 2M SDE', DPM, { algorithm_type: 'sde-dpmsolver++', use_karras_sigmas: false }],
    ['DPM++ 2M SDE Karras', DPM, { algorithm_type: 'sde-dpmsolver++', use_karras_sigmas: true }],
    ['dpmpp_2m_sde', DPM, { algorithm_type: 'sde-dpmsolver++' }],
    ['DPM++ 2M SDE Exponential', DPM, { use_karras_sigmas: false, use_exponential_sigmas: true }],
    ['DPM++ 3M SDE Karras', DPM, { solver_order: 3, use_karras_sigmas: true }],
    ['DPM++ 2S', 'DPMSolverSinglestepScheduler', { solver_order: 2, use_karras_sigmas: false }],
    ['dpmpp_2s_k', 'DPMSolverSinglestepScheduler', { solver_order: 2, use_karras_sigmas: true }],
    ['DPM2', 'KDPM2DiscreteScheduler', { use_karras_sigmas: false }],
    ['dpm_2', 'KDPM2DiscreteScheduler', {}],
    ['kdpm_2_k', 'KDPM2DiscreteScheduler', { use_karras_sigmas: true }],
    ['DPM2 a Karras', 'KDPM2AncestralDiscreteScheduler', { use_karras_sigmas: true }],
    ['dpm_2_ancestral', 'KDPM2AncestralDiscreteScheduler', { use_karras_sigmas: false }],
    ['kdpm_2_a', 'KDPM2AncestralDiscreteScheduler', {}],
    ['deis_k', 'DEISMultistepScheduler', { use_karras_sigmas: true }],
    ['SA-Solver', 'SASolverScheduler', {}],
    ['TCD', 'TCDScheduler', {}],
    ['DPM++ 2M Beta', DPM, { use_beta_sigmas: true }],
    ['DPM++ 2M SGM Uniform', DPM, { timestep_spacing: 'trailing' }],
  ])('%s', (name, className, fields) => {
    const scheduler = named(name);
    expect(scheduler.className).toBe(className);
    expect(scheduler.config).toMatchObject(fields);
    expect(scheduler.compile({ steps: 10 }).rows.length).toBeGreaterThanOrEqual(10);
  });

  test('all that are told about are known', () => {
    for (const name of UI_NAMES) expect(named(name)).toBeInstanceOf(Scheduler);
  });

  test('go on top of a model’s own sampler', () => {
    const own = Scheduler.fromConfig({ _class_name: DPM, ...SD, use_karras_sigmas: true });
    expect(Scheduler.fromConfig(own, { _class_name: 'DPM++ 2M' }).config.use_karras_sigmas).toBe(false);
    const changed = Scheduler.fromConfig(own, { _class_name: 'DPM++ 2M', use_karras_sigmas: true });
    expect(changed.config.use_karras_sigmas).toBe(true);
    // The class alone leaves the rest as it is.
    expect(Scheduler.fromConfig(own, { _class_name: 'DPMSolver' }).config.use_karras_sigmas).toBe(true);
    const exponential = Scheduler.fromConfig(own, { use_exponential_sigmas: true });
    expect(exponential.config).toMatchObject({ use_karras_sigmas: false, use_exponential_sigmas: true });
  });

  test.each([
    ['Eular a', '"Euler a"'],
    ['DPM++ 2M Karas', '"DPM++ 2M Karras"'],
    ['EulerDiscret', '"EulerDiscrete"'],
    ['ddmi', '"DDIM"'],
    ['Euler a Karras', '"Euler a"'],
    ['DPM++ 2S a', '"DPM++ 2S"'],
  ])('%s is nearly one', (name, meant) => {
    expect(() => named(name)).toThrow(
      expect.objectContaining({
        code: 'ERR_DEEPCACHE_UNSUPPORTED',
        message: expect.stringContaining(`did you mean ${meant}?`),
      }),
    );
  });

  test.each(['toString', '__proto__', 'constructor', 'karras', 'x'.repeat(1e6)])('%.20s is none', (name) => {
    expect(() => named(name)).toThrow(expect.objectContaining({ code: 'ERR_DEEPCACHE_UNSUPPORTED' }));
  });
});

describe('fields on top of a configuration', () => {
  const pndm = new PNDMScheduler({ ...SD, skip_prk_steps: true });
  const message = (overrides: object) => {
    try {
      Scheduler.fromConfig(pndm, { ...overrides });
    } catch (error) {
      return error as { code: string; message: string };
    }
    throw new Error('nothing was thrown');
  };

  test.each([
    [
      'that the class does not have',
      { use_karras_sigmas: true },
      /is not a field of PNDMScheduler; those with it are DEIS/,
    ],
    [
      'that are misspelt',
      { beta_strat: 0.1 },
      /"beta_strat" is not a field of PNDMScheduler; did you mean beta_start\?/,
    ],
    ['that are options', { eta: 3 }, /"eta" is not a field of PNDMScheduler; eta is an option of its own/],
    ['that objects have', { toString: 3 }, /"toString" is not a field/],
    [
      'that need another model',
      { _class_name: 'Euler', rescale_betas_zero_snr: true },
      /"rescale_betas_zero_snr" is for models with/,
    ],
  ])('are refused %s', (_, overrides, expected) => {
    const error = message(overrides);
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(error.message).toMatch(expected);
  });

  test('may be a whole configuration, which holds what its scheduler kept for others', () => {
    const whole = DPMSolverMultistepScheduler.fromConfig(pndm).toConfig();
    expect(whole).toMatchObject({ skip_prk_steps: true, _diffusers_version: expect.any(String) });
    expect(Scheduler.fromConfig(pndm, whole)).toBeInstanceOf(DPMSolverMultistepScheduler);
    expect(message({ ...whole, brand_new_field: 1 }).code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
  });
});

describe('noise levels', () => {
  const sigmas = (name: string, config: object) =>
    Scheduler.fromConfig({ _class_name: name, ...SD, ...config }).compile({ steps: 8 }).sigmas as number[];

  test.each(['Euler', 'EulerAncestral', 'DPMSolver', 'UniPC'])('without signal %s starts at 4096', (name) => {
    const v = { prediction_type: 'v_prediction', timestep_spacing: 'trailing' };
    expect(sigmas(name, { ...v, rescale_betas_zero_snr: true })[0]).toBeCloseTo(4096, 0);
    expect(sigmas(name, v)[0]).toBeCloseTo(14.61, 1);
  });

  const SPACED = [
    'Euler',
    'Heun',
    'LMS',
    'DPMSolver',
    'UniPC',
    'KDPM2',
    'KDPM2Ancestral',
    'DEIS',
    'SASolver',
  ];
  test.each([...SPACED, 'DPMSolverSinglestep'])('%s has four spacings, one at a time', (name) => {
    const spacings = ['use_karras_sigmas', 'use_exponential_sigmas', 'use_beta_sigmas'];
    const middles = [{}, ...spacings.map((field) => ({ [field]: true }))].map((config) =>
      sigmas(name, config)[4]?.toFixed(3),
    );
    expect(new Set(middles).size).toBe(4);
    expect(() => sigmas(name, { use_karras_sigmas: true, use_beta_sigmas: true })).toThrow(
      /exclude each other/,
    );
    const scheduler = Scheduler.fromConfig({ _class_name: name, use_beta_sigmas: true });
    expect(() => scheduler.compile({ timesteps: [900, 100] })).toThrow(
      /timesteps of your own and use_beta_sigmas/,
    );
  });
});

test('every name that types know is one, and they know all classes', () => {
  expect(KNOWN_NAMES.filter((name) => !findScheduler(name))).toEqual([]);
  expect(schedulerNames().filter((name) => !KNOWN_NAMES.includes(name))).toEqual([]);
});

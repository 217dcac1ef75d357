import { describe, expect, test } from '@jest/globals';
import { Scheduler, type SchedulerConfig } from '../lib/schedulers/index.js';
import { isOlder } from '../lib/schedulers/versions.js';

// A field that a configuration lacks means what it meant in the release of diffusers that wrote it.

const SD = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear' };
const make = (name: string, config: SchedulerConfig = {}, overrides: SchedulerConfig = {}) =>
  Scheduler.fromConfig({ _class_name: name, ...SD, ...config }, overrides);
const lastSigma = (scheduler: Scheduler) => scheduler.compile({ steps: 25 }).sigmas?.at(-1);

/** sigma of the lowest training step. */
const SIGMA_MIN = 0.02917;

test.each([
  ['0.25.1', true],
  ['0.19.0.dev0', true],
  ['0.26.0.dev0', false],
  ['0.26.0', false],
  ['0.27.2', false],
  ['1.0.0', false],
  ['', false],
  ['new', false],
  [0.2, false],
  [undefined, false],
])('%j is older than 0.26: %p', (version, expected) => {
  expect(isOlder(version, [0, 26])).toBe(expected);
});

describe.each([
  ['DPMSolverMultistepScheduler', '0.25.1', '0.26.0'],
  ['UniPCMultistepScheduler', '0.27.2', '0.28.0'],
])('%s', (name, before, since) => {
  test.each([{}, { use_karras_sigmas: true }])('removes all noise since %j', (config) => {
    expect(lastSigma(make(name, config))).toBe(0);
    expect(lastSigma(make(name, { ...config, _diffusers_version: since }))).toBe(0);
    expect(lastSigma(make(name, { ...config, _diffusers_version: before }))).toBeCloseTo(SIGMA_MIN, 4);
    const explicit = { ...config, _diffusers_version: before, final_sigmas_type: 'zero' };
    expect(lastSigma(make(name, explicit))).toBe(0);
  });

  test('the version of another class says nothing about it', () => {
    const pndm = make('PNDMScheduler', { _diffusers_version: '0.6.0' });
    expect(lastSigma(Scheduler.fromConfig(pndm, { _class_name: name }))).toBe(0);
    const old = make(name, { _diffusers_version: before });
    expect(lastSigma(Scheduler.fromConfig(old, { _class_name: name }))).toBeCloseTo(SIGMA_MIN, 4);
  });

  test('toConfig says which', () => {
    const old = make(name, { _diffusers_version: before });
    expect(old.toConfig()).toMatchObject({ _diffusers_version: before, final_sigmas_type: 'sigma_min' });
    expect(lastSigma(Scheduler.fromConfig(old.toConfig()))).toBeCloseTo(SIGMA_MIN, 4);
    expect(lastSigma(Scheduler.fromConfig(make(name).toConfig()))).toBe(0);
  });
});

test('solvers of the noise stop above zero, and refuse to be told otherwise', () => {
  for (const [name, config] of [
    ['DPMSolverMultistep', { algorithm_type: 'dpmsolver' }],
    ['DPMSolverMultistep', { algorithm_type: 'sde-dpmsolver' }],
    ['UniPCMultistep', { predict_x0: false }],
  ] as const) {
    expect(lastSigma(make(name, config))).toBeCloseTo(SIGMA_MIN, 4);
    expect(() => make(name, { ...config, final_sigmas_type: 'zero' })).toThrow(/final_sigmas_type/);
  }
});

describe('DDPM steps to the next timestep of its list', () => {
  /** The timestep that the first of 13 steps leads to, told by the weight of x0. */
  const goal = (config: SchedulerConfig) => {
    const scheduler = make('DDPMScheduler', { clip_sample: false, ...config });
    const { rows, timesteps } = scheduler.compile({ steps: 13 });
    const alpha = (t: number) => scheduler.alphasCumprod[t] as number;
    const [from, next] = timesteps as [number, number];
    const weight = rows[0]?.assign[0]?.terms.find(({ slot }) => slot === 'x0')?.coefficient as number;
    const expected = (to: number) =>
      (Math.sqrt(alpha(to)) * (1 - alpha(from) / alpha(to))) / (1 - alpha(from));
    return {
      isNext: Math.abs(weight - expected(next)) < 1e-9,
      isStride: Math.abs(weight - expected(from - 76)) < 1e-9,
    };
  };

  test.each(['trailing', 'linspace'])('%s', (timestep_spacing) => {
    expect(goal({ timestep_spacing })).toEqual({ isNext: true, isStride: false });
    const since = { timestep_spacing, _diffusers_version: '0.32.0' };
    expect(goal(since)).toEqual({ isNext: true, isStride: false });
    const before = { timestep_spacing, _diffusers_version: '0.31.0' };
    expect(goal(before)).toEqual({ isNext: false, isStride: true });
  });
});

test('predict_epsilon of v0.8 is prediction_type', () => {
  expect(make('DDPM', { predict_epsilon: false }).predictionType).toBe('sample');
  expect(make('DDPM', { predict_epsilon: true }).predictionType).toBe('epsilon');
});

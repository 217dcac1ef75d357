import { describe, expect, test } from '@jest/globals';
import { Scheduler, type SchedulerConfig } from '../lib/schedulers/index.js';

const FLOW = { use_flow_sigmas: true, prediction_type: 'flow_prediction' };

function compile(name: string, config: SchedulerConfig, options: Parameters<Scheduler['compile']>[0]) {
  return Scheduler.fromConfig({ _class_name: name, ...FLOW, ...config }).compile(options);
}

/** Esser et al. 2024, equation 23, solved for the shifted level. */
const shifted = (sigma: number, shift: number) => 1 / (1 + (1 / sigma - 1) / shift);

const rounded = (values: readonly number[] = []) => values.map((value) => Number(value.toFixed(6)));

describe('the noise levels of a flow', () => {
  test('DPM-Solver++ spaces them from the lowest training step below 1', () => {
    const { sigmas, timesteps } = compile('DPMSolver', { flow_shift: 3 }, { steps: 4 });
    const levels = [0.999, 0.74925, 0.4995, 0.24975].map((sigma) => shifted(sigma, 3));
    expect(rounded(sigmas)).toEqual(rounded([...levels, 0]));
    expect(timesteps).toEqual([999, 899, 749, 499]);
  });

  test('UniPC spaces them from 1, which it keeps a millionth away from', () => {
    const { sigmas } = compile('UniPC', {}, { steps: 3 });
    expect(rounded(sigmas)).toEqual([0.999999, 0.667, 0.334, 0]);
  });

  test('UniPC stretches them to shift_terminal', () => {
    const sigmas = rounded(compile('UniPC', { shift_terminal: 0.25 }, { sigmas: [0.9, 0.5, 0.1] }).sigmas);
    expect(sigmas).toEqual([0.916667, 0.583333, 0.25, 0]);
  });

  test('UniPC puts Karras sigmas on the line', () => {
    const range = { beta_schedule: 'scaled_linear', use_karras_sigmas: true, sigma_max: 9, sigma_min: 0.25 };
    const { sigmas } = compile('UniPC', range, { steps: 2 });
    expect(rounded(sigmas)).toEqual([0.9, 0.2, 0]);
  });

  test.each([
    ['exponential', Math.log(3)],
    ['linear', 3],
  ])('mu is the shift, %s', (type, mu) => {
    const config = { use_dynamic_shifting: true, time_shift_type: type };
    const { sigmas } = compile('UniPC', config, { steps: 3, mu });
    expect(sigmas).toEqual(compile('UniPC', { flow_shift: 3 }, { steps: 3 }).sigmas);
  });
});

describe('what a flow cannot be', () => {
  test.each([
    ['DPMSolver', { algorithm_type: 'dpmsolver' }, 'prediction_type'],
    ['UniPC', { predict_x0: false }, 'prediction_type'],
    ['DPMSolver', { flow_shift: 0 }, 'flow_shift'],
    ['UniPC', { use_flow_sigmas: false, shift_terminal: 0.1 }, 'shift_terminal'],
    ['UniPC', { shift_terminal: 1 }, 'shift_terminal'],
    ['DDIM', {}, 'prediction_type'],
  ])('%s with %j', (name, config, field) => {
    expect(() => Scheduler.fromConfig({ _class_name: name, ...FLOW, ...config })).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_CONFIG', field }),
    );
  });

  test.each([
    ['DPMSolver', { use_karras_sigmas: true }, { steps: 4 }, /use_flow_sigmas and other spacings/],
    ['UniPC', { use_beta_sigmas: true }, { steps: 4 }, /use_flow_sigmas and beta sigmas/],
    ['DPMSolver', {}, { timesteps: [900, 100] }, /timesteps of your own and use_flow_sigmas/],
    ['UniPC', {}, { sigmas: [2, 1] }, /sigmas of a flow/],
    ['UniPC', {}, { steps: 4, mu: 1 }, /mu is for samplers with use_dynamic_shifting/],
    ['UniPC', { use_dynamic_shifting: true }, { steps: 4 }, /mu must be given/],
    ['DPMSolver', { use_flow_sigmas: false }, { steps: 4, mu: 1 }, /mu is for samplers with use_flow_sigmas/],
  ])('a run of %s with %j and %j', (name, config, options, message) => {
    expect(() => compile(name, config, options)).toThrow(message);
  });
});

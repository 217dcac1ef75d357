import { describe, expect, test } from '@jest/globals';
import { stable } from './sample.js';

/** The order of each call in its group, from which outputs its step reads. */
function orders(config: object, options: { steps: number; strengthStart?: number }): number[] {
  const { rows } = stable('DPMSolverSinglestep', config).compile(options);
  return rows.map(({ assign }) => {
    const { terms = [] } = assign.at(-1) ?? {};
    return terms.filter(({ slot }) => /^s[012]$/.test(slot)).length;
  });
}

describe('singlestep DPM-Solver', () => {
  const low = { final_sigmas_type: 'sigma_min' };

  test.each([
    [2, 6, {}, [1, 2, 1, 2, 1, 1]],
    [2, 7, {}, [1, 2, 1, 2, 1, 2, 1]],
    [2, 6, low, [1, 2, 1, 2, 1, 2]],
    [2, 7, low, [1, 2, 1, 2, 1, 2, 1]],
    [2, 6, { ...low, lower_order_final: true }, [1, 2, 1, 2, 1, 1]],
    [3, 6, {}, [1, 2, 3, 1, 2, 1]],
    [3, 7, {}, [1, 2, 3, 1, 2, 3, 1]],
    [3, 8, {}, [1, 2, 3, 1, 2, 3, 1, 1]],
    [3, 8, low, [1, 2, 3, 1, 2, 3, 1, 2]],
    [3, 1, {}, [1]],
    [1, 3, {}, [1, 1, 1]],
  ])('of order %i in %i steps with %j takes its calls in groups', (solver_order, steps, config, expected) => {
    expect(orders({ solver_order, solver_type: 'heun', ...config }, { steps })).toEqual(expected);
  });

  test('a run that starts within a group begins with what it has', () => {
    const config = { ...low, solver_order: 3, solver_type: 'heun' };
    expect(orders(config, { steps: 6, strengthStart: 2 })).toEqual([1, 1, 2, 3]);
    expect(orders(config, { steps: 6, strengthStart: 1 })).toEqual([1, 2, 1, 2, 3]);
  });

  test('the sde kind draws in every call', () => {
    const sde = stable('DPMSolverSinglestep', { algorithm_type: 'sde-dpmsolver++' });
    expect(sde.compile({ steps: 5 }).noiseDraws).toBe(5);
  });

  test('integrates the noise to the lowest level, not to zero', () => {
    const noise = stable('DPMSolverSinglestep', { algorithm_type: 'dpmsolver' });
    expect(noise.config.final_sigmas_type).toBe('sigma_min');
    expect(() =>
      stable('DPMSolverSinglestep', { algorithm_type: 'dpmsolver', final_sigmas_type: 'zero' }),
    ).toThrow(expect.objectContaining({ field: 'final_sigmas_type' }));
  });

  test('timestep_spacing is kept for other samplers and has no effect', () => {
    const plain = stable('DPMSolverSinglestep').compile({ steps: 5 });
    const other = stable('DPMSolverSinglestep', { timestep_spacing: 'trailing', steps_offset: 1 });
    expect(other.compile({ steps: 5 }).timesteps).toEqual(plain.timesteps);
  });
});

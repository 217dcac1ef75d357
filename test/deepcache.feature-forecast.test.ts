import { describe, expect, test } from '@jest/globals';
import { attachPrograms, featureLineFactor, SettingsPolicy, withForecasts } from '../lib/deepcache/index.js';
import type { CacheOptions } from '../lib/index.js';
import { Scheduler } from '../lib/schedulers/index.js';

const scheduler = Scheduler.fromConfig({
  _class_name: 'DDIMScheduler',
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
});

/** The factors of a run's rows. */
function factors(cache: CacheOptions, steps = 9) {
  const { rows, timesteps, schedulerTimesteps, noiseLevels } = scheduler.compile({ steps });
  const { calls } = new SettingsPolicy(cache).layout({ timesteps, schedulerTimesteps, branches: 3 });
  const placed = withForecasts({ rows, noiseLevels }, calls);
  const table = attachPrograms(placed.rows, placed.calls);
  return { gammas: table.rows.map(({ featureGamma }) => featureGamma), table, noiseLevels };
}

describe('featureDamping', () => {
  test('gives retrieve steps behind two full calls the factor of their line', () => {
    const { gammas, noiseLevels, table } = factors({ interval: 3, featureDamping: 0.7 });
    const line = (call: number, last: number, before: number) =>
      0.7 * featureLineFactor(noiseLevels, call, last, before);
    expect(gammas).toEqual([
      ...[undefined, undefined, undefined, undefined],
      ...[line(4, 3, 0), line(5, 3, 0), undefined, line(7, 6, 3), line(8, 6, 3)],
    ]);
    for (const gamma of [gammas[4], gammas[7]]) expect(gamma).toBeGreaterThan(0.1);
    // Timesteps are evenly spaced: a third of the way, and two.
    expect((gammas[5] as number) / (gammas[4] as number)).toBeGreaterThan(1.5);
    expect(table.programs).toEqual([{ kind: 'full' }, { kind: 'retrieve', branch: 0 }]);
  });

  test('of 0, or none, is DeepCache', () => {
    const { table } = factors({ interval: 3 });
    expect(table.rows.some((row) => 'featureGamma' in row)).toBe(false);
    expect(factors({ interval: 3, featureDamping: 0 }).table).toEqual(table);
  });

  test('goes with lists, non-uniform schedules and plans', () => {
    const used = (cache: CacheOptions) =>
      factors(cache).gammas.flatMap((gamma, i) => (gamma === undefined ? [] : [i]));
    expect(used({ steps: [0, 2, 5], featureDamping: 1 })).toEqual([3, 4, 6, 7, 8]);
    expect(used({ interval: 3, schedule: 'nonuniform', featureDamping: 1 }).length).toBeGreaterThan(0);
    // A predicted call computes no feature.
    expect(used({ plan: 'FRFPRFPRR', featureDamping: 1 })).toEqual([4, 7, 8]);
  });

  test.each([-0.1, 1.1, Number.NaN, '0.5'])('of %p is refused', (featureDamping) => {
    for (const cache of [{ interval: 3 }, { plan: 'FRRFRRFRR' }]) {
      expect(() => factors({ ...cache, featureDamping } as CacheOptions)).toThrow(
        /cache\.featureDamping must be/,
      );
    }
  });
});

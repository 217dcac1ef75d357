import { CACHE_PRESETS, type CachePreset } from '../deepcache/index.js';
import type { PlannedRun } from '../plans/saved-plan.js';
import { untunedPreset } from '../plans/untuned.js';
import type { Schedule } from './schedule.js';

// Settings that anybody would try first: presets, and full calls at equal intervals.

/** The full calls of an interval: 0, 3, 6, ... */
export function intervalList(calls: number, interval: number): number[] {
  return Array.from({ length: Math.ceil(calls / interval) }, (_, i) => i * interval);
}

/**
 * The presets of these branches, from the one with the fewest full calls on: their equal intervals, and what else they
 * stand for in the run.
 */
export function presetSchedules(
  calls: number,
  branches: readonly number[],
  run: PlannedRun | undefined,
): Schedule[] {
  const presets = Object.entries(CACHE_PRESETS) as [CachePreset, (typeof CACHE_PRESETS)[CachePreset]][];
  return presets
    .filter(([, { interval, branch }]) => branches.includes(branch) && interval < calls)
    .sort(([, a], [, b]) => b.interval - a.interval)
    .flatMap(([preset, { interval, branch }]) => {
      const even = { steps: intervalList(calls, interval), between: branch };
      const own = run && untunedPreset(preset, run, () => calls);
      if (typeof own !== 'object') return [even];
      const { steps = even.steps, featureDamping } = own;
      return [even, { steps, between: branch, ...(featureDamping && { features: featureDamping }) }];
    });
}

/** All intervals of a branch that have different numbers of full calls, from the largest on. */
export function intervalSchedules(calls: number, branch: number): Schedule[] {
  const lists = new Map<number, number[]>();
  for (let interval = calls; interval >= 2; interval--) {
    const steps = intervalList(calls, interval);
    // Of several with as many full calls the smallest is the evenest.
    lists.set(steps.length, steps);
  }
  return [...lists.values()].map((steps) => ({ steps, between: branch }));
}

import { CACHE_PRESETS } from '../deepcache/index.js';
import type { Schedule } from './schedule.js';

// Settings that anybody would try first: full calls at equal intervals.

/** The full calls of an interval: 0, 3, 6, ... */
export function intervalList(calls: number, interval: number): number[] {
  return Array.from({ length: Math.ceil(calls / interval) }, (_, i) => i * interval);
}

/** The presets of these branches, from the one with the fewest full calls on. */
export function presetSchedules(calls: number, branches: readonly number[]): Schedule[] {
  return Object.values(CACHE_PRESETS)
    .filter(({ interval, branch }) => branches.includes(branch) && interval < calls)
    .sort((a, b) => b.interval - a.interval)
    .map(({ interval, branch }) => ({ steps: intervalList(calls, interval), between: branch }));
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

import type { CacheSettings } from '../deepcache/index.js';

const INTERVALS = [2, 3, 5, 8, 10];
const BRANCHES = [0, 1, 2, 3];

/**
 * The settings that `deepcache quality` measures when none are named: intervals 2, 3, 5, 8 and 10, evenly spaced and
 * not, of each branch. By branch, so that plans are seldom remade.
 */
export function defaultGrid(branches = BRANCHES): CacheSettings[] {
  return branches.flatMap((branch) =>
    INTERVALS.flatMap((interval): CacheSettings[] => [
      { interval, branch },
      { interval, branch, schedule: 'nonuniform' },
    ]),
  );
}

import type { ListedCache, PlannedCache } from '../deepcache/index.js';

/** What the calls between full ones do: retrieve at this branch, or be predicted. */
export type Between = number | 'predict';

/** How far predicted calls carry on the change between the last two full ones, see {@link ForecastCosts}. */
export type ForecastRule = 'held' | 'half' | 'line' | 'fitted';

/** A run's full calls, and what the others do. */
export interface Schedule {
  /** The full calls. */
  steps: readonly number[];
  /** What the others do: retrieve at this branch, or predict. */
  between: Between;
  /** Of predicted calls, one factor for each; by default they hold the last full call's noise. */
  gamma?: readonly number[];
  /** The rule that the factors come from. */
  rule?: ForecastRule;
}

/** As the `cache` option of a run of so many calls. */
export function cacheOf({ steps, between, gamma }: Schedule, calls: number): ListedCache | PlannedCache {
  if (between !== 'predict') return { steps: [...steps], branch: between };
  const full = new Set(steps);
  const plan = Array.from({ length: calls }, (_, i) => (full.has(i) ? 'F' : 'P')).join('');
  return { plan, ...(gamma?.some((factor) => factor !== 0) ? { gamma: [...gamma] } : { damping: 0 }) };
}

/** The same for the same run. */
export const keyOf = ({ steps, between, gamma = [] }: Schedule) =>
  `${between}:${steps.join()}:${gamma.some((factor) => factor !== 0) ? gamma.join() : ''}`;

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
  /** Of retrieved calls: as `featureDamping` of the option; by default features are held. */
  features?: number;
  /** Where calls predict: those that retrieve all the same, ascending. */
  retrieved?: Retrieved;
}

/** Calls that retrieve at a branch. */
export interface Retrieved {
  /** Which of them. */
  calls: readonly number[];
  /** How deep they go. */
  branch: number;
}

/** Whether calls go on from what full ones found, instead of holding it. */
export const isForecast = ({ between, features = 0 }: Schedule): boolean =>
  between === 'predict' || features > 0;

/** What schedules that take the same time have in common. */
export interface Candidate {
  /** Full calls. */
  count: number;
  /** What is between them. */
  between: Between;
  /** So many of these retrieve all the same. */
  retrieved?: { count: number; branch: number };
}

export function candidateOf({ steps, between, retrieved }: Schedule): Candidate {
  const { calls, branch } = retrieved ?? { calls: [], branch: 0 };
  return {
    count: steps.length,
    between,
    ...(calls.length > 0 && { retrieved: { count: calls.length, branch } }),
  };
}

/** As the `cache` option of a run of so many calls. */
export function cacheOf(
  { steps, between, gamma = [], features, retrieved }: Schedule,
  calls: number,
): ListedCache | PlannedCache {
  const ofFeatures = features ? { featureDamping: features } : {};
  if (between !== 'predict') return { steps: [...steps], branch: between, ...ofFeatures };
  const full = new Set(steps);
  const some = new Set(retrieved?.calls);
  const letters = Array.from({ length: calls }, (_, i) => (full.has(i) ? 'F' : some.has(i) ? 'R' : 'P'));
  // There is a factor for each call that is not full.
  const others = letters.filter((letter) => letter !== 'F');
  const factors = gamma.filter((_, i) => others[i] === 'P');
  return {
    plan: letters.join(''),
    ...(factors.some((factor) => factor !== 0) ? { gamma: factors } : { damping: 0 }),
    ...(retrieved && { branch: retrieved.branch, ...ofFeatures }),
  };
}

/** The same for the same run. */
export const keyOf = ({ steps, between, gamma = [], features = 0, retrieved }: Schedule) =>
  JSON.stringify([between, steps, gamma.some((factor) => factor !== 0) ? gamma : [], features, retrieved]);

import type { ListedCache, PlannedCache } from '../deepcache/index.js';

/** What the calls between full ones do: retrieve at this branch, or be predicted. */
export type Between = number | 'predict';

/** How far predicted calls carry on the change between the last two full ones, see {@link ForecastCosts}. */
export type ForecastRule = 'held' | 'half' | 'line' | 'fitted' | 'clean' | 'whole';

/** A run's full calls, and what the others do. */
export interface Schedule {
  /** The full calls. */
  steps: readonly number[];
  /** What the others do: retrieve at this branch, or predict. */
  between: Between;
  /** Of predicted calls, one factor for each; by default they hold the last full call's noise. */
  gamma?: readonly number[];
  /** The same of the change of that change. Default 0. */
  curve?: readonly number[];
  /** Of predicted calls, how much they add of what the last full call took for the clean latents. Default 0. */
  clean?: readonly number[];
  /** The same of the noise that it found. Default 0. */
  noise?: readonly number[];
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

/** Whether they go on with the change between two of these, which multiplies what is wrong with it. */
export const goesOn = ({ gamma = [], curve = [], features = 0 }: Schedule): boolean =>
  isSome(gamma) || isSome(curve) || features > 0;

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
  { steps, between, gamma = [], curve = [], clean = [], noise = [], features, retrieved }: Schedule,
  calls: number,
): ListedCache | PlannedCache {
  const ofFeatures = features ? { featureDamping: features } : {};
  if (between !== 'predict') return { steps: [...steps], branch: between, ...ofFeatures };
  const full = new Set(steps);
  const some = new Set(retrieved?.calls);
  const letters = Array.from({ length: calls }, (_, i) => (full.has(i) ? 'F' : some.has(i) ? 'R' : 'P'));
  // There is a factor for each call that is not full.
  const others = letters.filter((letter) => letter !== 'F');
  const ofPredicted = (factors: readonly number[]) => factors.filter((_, i) => others[i] === 'P');
  const lists = Object.entries({ curve, clean, noise }).map(
    ([name, all]) => [name, ofPredicted(all)] as const,
  );
  const factors = ofPredicted(gamma);
  return {
    plan: letters.join(''),
    ...(isSome(factors) ? { gamma: factors } : { damping: 0 }),
    ...Object.fromEntries(lists.filter(([, list]) => isSome(list))),
    ...(retrieved && { branch: retrieved.branch, ...ofFeatures }),
  };
}

const isSome = (factors: readonly number[]) => factors.some((factor) => factor !== 0);

/** The same for the same run. */
export const keyOf = ({
  steps,
  between,
  gamma = [],
  curve = [],
  clean = [],
  noise = [],
  features = 0,
  retrieved,
}: Schedule) =>
  JSON.stringify([
    between,
    steps,
    ...[gamma, curve, clean, noise].map((factors) => (isSome(factors) ? factors : [])),
    features,
    retrieved,
  ]);

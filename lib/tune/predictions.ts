import { DeepCacheError } from '../errors.js';
import type { Tried } from './budget.js';
import type { Candidates } from './candidates.js';
import type { Factors } from './forecast-factors.js';
import { type ForecastRule, keyOf, type Schedule } from './schedule.js';
import { settled } from './settled.js';
import type { Trials } from './trials.js';
import type { Tries } from './tries.js';

/** Decibels that a change must gain: less would be chance. */
export const MIN_GAIN = 0.05;
/** Factors that are found together. */
const FACTOR_SETS: readonly (readonly (keyof Factors)[])[] = [
  ['clean'],
  ['clean', 'noise', 'gamma'],
  ['gamma', 'curve'],
  ['clean', 'noise', 'gamma', 'curve'],
];

export const isPrediction = ({ between }: Schedule): boolean => between === 'predict';

/**
 * The best prediction with factors that its own runs find: those of clean latents alone are the safer ones at high guidance. Sets that the
 * sampler has no room for are passed over.
 */
export async function settle(trials: Trials, tries: Tries, rules: readonly ForecastRule[]): Promise<void> {
  for (const names of rules.includes('whole') ? FACTOR_SETS : [['gamma'] as const]) {
    const best = tries.bestThat(isPrediction);
    const key = best && `factors ${names} ${keyOf(best)}`;
    const schedule =
      key && (await trials.remembered(key, () => settled(trials, best, names)).catch(unlessNoRoom));
    if (schedule && (await trials.gain(schedule, best)) >= MIN_GAIN) await tries.try(schedule);
  }
}

function unlessNoRoom(error: unknown): undefined {
  if (!(error instanceof DeepCacheError && error.code === 'ERR_DEEPCACHE_UNSUPPORTED')) throw error;
}

/** Retrieves some of the calls of the best prediction, for full calls less or where there is time left. */
export async function mix(
  trials: Trials,
  tries: Tries,
  candidates: Candidates,
  branch: number,
): Promise<void> {
  let best: Tried | undefined = tries.bestThat(isPrediction);
  if (!best) return;
  for (const schedule of candidates.mixed(best, branch, (one) => tries.isFast(one))) {
    if (trials.isOver()) return;
    if ((await trials.gain(schedule, best)) >= MIN_GAIN) best = await tries.try(schedule);
  }
}

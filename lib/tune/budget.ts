import type { CachePreset } from '../deepcache/index.js';
import type { Schedule } from './schedule.js';

/**
 * The constraint: a least PSNR, for which the fastest schedule is searched, or a least speedup, for which the closest is;
 * as a preset, that of its equal intervals.
 */
export type TuneBudget = { minPsnr: number } | { speedup: number } | { preset: CachePreset };

/** A schedule on prompts: decibels of the pictures against those of the uncached run. */
export interface Tried extends Schedule {
  /** Their mean. */
  psnr: number;
  /** What schedules of a speed are chosen by. */
  merit: number;
}

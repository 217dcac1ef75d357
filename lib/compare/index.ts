export { type CompareEvent, type CompareOptions, compare, type RunOptions } from './compare.js';
export type { ComparedRun, Difference } from './compared-run.js';
export type { Comparison } from './comparison.js';
export type { CompareSettings } from './settings.js';
export type { SpeedupSpread } from './speedup.js';
export type { ComparablePipeline } from './timed-runs.js';

export { type CompareEvent, type CompareOptions, compare, type RunOptions } from './compare.js';
export type { ComparedRun, Comparison, Difference } from './comparison.js';
export type { CompareSettings } from './settings.js';
export type { SpeedupSpread } from './speedup.js';
export type { ComparablePipeline } from './timed-runs.js';

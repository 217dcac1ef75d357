export type { TuneFigures } from './decision.js';
export type { Tried, TuneBudget } from './search.js';
export type { Schedule, TunablePipeline } from './trials.js';
export { type TuneEvent, type TuneOptions, type TuneResult, tune } from './tune.js';

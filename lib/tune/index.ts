export type { TuneFigures } from './decision.js';
export type { Between, ForecastRule, Schedule } from './schedule.js';
export type { Tried, TuneBudget } from './search.js';
export type { TunablePipeline } from './trials.js';
export { type TuneEvent, type TuneOptions, type TuneResult, tune } from './tune.js';

export type { Tried, TuneBudget } from './budget.js';
export type { TuneFigures } from './decision.js';
export type { Between, ForecastRule, Schedule } from './schedule.js';
export type { TunablePipeline } from './trials.js';
export { type TuneEvent, type TuneOptions, type TuneResult, tune } from './tune.js';

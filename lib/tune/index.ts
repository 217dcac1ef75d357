export type { Schedule, TunablePipeline } from './trials.js';
export {
  type Tried,
  type TuneBudget,
  type TuneEvent,
  type TuneOptions,
  type TuneResult,
  tune,
} from './tune.js';

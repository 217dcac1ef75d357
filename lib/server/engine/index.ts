/** Jobs of many people on one machine: see {@link ImageEngine}. */

export { ImageEngine } from './engine.js';
export type { EngineDevice, EngineModel, EngineOptions, EngineStats } from './engine-options.js';
export { type Job, type JobEvent, type JobRequest, type JobState, TASKS, type Task } from './job.js';
export type { ModelDefaults, ModelOptions, RunDefaults } from './model-options.js';
export type { EngineNetworks, IpAdapterPlace, JobNetworks } from './networks.js';
export type { ModelAbout, ModelCard } from './served-model.js';

import type { CompileOptions, RowBuilder } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import type { SamplerOptionName } from './run-options.js';
import type { Release } from './versions.js';

/** What a sampler walks through: its timesteps and, for some, the sigmas (one more, the level after the last call). */
export interface Schedule {
  timesteps: number[];
  sigmas?: number[];
  /** Places of the timesteps at which the U-Net is called; all by default. */
  called?: number[];
}

/** A part of a run: `start` is the index of the first call in the schedule's lists. */
export interface RunContext extends Schedule {
  /** Inference steps, as the user counts them. */
  steps: number;
  start: number;
  options: CompileOptions;
  builder: RowBuilder;
}

/** The static side of a scheduler class. */
export interface SchedulerClass<T = unknown> {
  new (config?: SchedulerConfig): T;
  /** diffusers' class name. */
  readonly className: string;
  /** The fields of the class and their defaults (diffusers v0.40). */
  readonly defaults: SchedulerConfig;
  /** What configurations of older releases mean by fields that they lack, where it is something else. */
  readonly former: readonly { readonly before: Release; readonly fields: SchedulerConfig }[];
  /** What runs take besides steps, timesteps, sigmas and eta. */
  readonly runOptions: readonly SamplerOptionName[];
  /** Defaults that follow from fields that were set. */
  implied(explicit: SchedulerConfig): SchedulerConfig;
}

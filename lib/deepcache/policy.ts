import type { Halves, Term } from '../schedulers/table.js';

/** What a policy knows of a run before it starts. */
export interface PolicyRun {
  /** Of the U-Net calls that are run. */
  timesteps: readonly number[];
  /** The scheduler's whole list: image to image starts inside of it. */
  schedulerTimesteps: readonly number[];
  /** How many branches the U-Net has. */
  branches: number;
}

/** The whole U-Net. */
export interface FullCall {
  kind: 'full';
  halves?: Halves;
}

/** The shallow part of the U-Net, with the features that the last full call left at `branch`. */
export interface RetrieveCall {
  kind: 'retrieve';
  branch: number;
  halves?: Halves;
}

/** No U-Net: its guided output is guessed, as a sum of what is kept (StepRow.predict). */
export interface PredictedCall {
  kind: 'predict';
  terms: readonly Term[];
}

/** A full call, or `instead`, as the run itself decides (StepRow.skip). */
export interface AdaptiveCall {
  kind: 'adaptive';
  instead: RetrieveCall | PredictedCall;
  threshold: number;
  maxSkips: number;
}

export type CallPlan = FullCall | RetrieveCall | PredictedCall | AdaptiveCall;

export interface Layout {
  /** One for each call of the run. */
  calls: readonly CallPlan[];
  /** In words, where the policy does otherwise than its options say. */
  note?: string;
}

/** Decides what each U-Net call of a run computes: all calls are laid out before it starts. */
export interface CachePolicy {
  /** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what the run or the U-Net cannot have. */
  layout(run: PolicyRun): Layout;
}

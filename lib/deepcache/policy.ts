import type { AttentionUse, Halves, Term } from '../schedulers/table.js';

/** What a policy knows of a run before it starts. */
export interface PolicyRun {
  /** Of the U-Net calls that are run. */
  timesteps: readonly number[];
  /** The scheduler's whole list: image to image starts inside of it. */
  schedulerTimesteps: readonly number[];
  /** How many branches the U-Net has. */
  branches: number;
  /** Steps that were asked for, times the calls that the sampler's order makes of each; by default the calls. */
  stepCalls?: number;
}

/** What a call does about the outputs of attention. */
interface AttentionUses {
  /** Default: cross attention is computed. */
  cross?: AttentionUse;
  /** Default: self attention is computed. */
  self?: AttentionUse;
}

/** The whole U-Net. */
export interface FullCall extends AttentionUses {
  /** What distinguishes it from other calls. */
  kind: 'full';
  /** Default 'all'. */
  halves?: Halves;
}

/** The shallow part of the U-Net, with the features that the last full call left at `branch`. */
export interface RetrieveCall extends AttentionUses {
  /** What distinguishes it from other calls. */
  kind: 'retrieve';
  /** How deep it goes. */
  branch: number;
  /** Default 'all'. */
  halves?: Halves;
  /** How far the change of the feature between the last two full calls goes on. Default 0: it is held, as DeepCache does. */
  gamma?: number;
  /** Instead: the factor of a straight line through the two (see {@link featureLineFactor}) is multiplied by it. */
  damping?: number;
}

/** No U-Net: its guided output is guessed, as a sum of what is kept (StepRow.predict). */
export interface PredictedCall {
  /** What distinguishes it from other calls. */
  kind: 'predict';
  /** They are summed up. */
  terms: readonly Term[];
}

/** No U-Net: the noise that it would find is forecast from what the last two or three full calls found. */
export interface ForecastCall {
  /** What distinguishes it from other calls. */
  kind: 'forecast';
  /**
   * How far the change between the two goes on: 0 holds the last one's noise. Default: on a straight line over the
   * logarithm of the signal-to-noise ratio.
   */
  gamma?: number;
  /** The straight line's factor is multiplied by it; default 1. */
  damping?: number;
  /** How much of the change of that change, over the last three full calls, is added. Default 0. */
  curve?: number;
  /** How much of what the last full call took for the clean latents is added. Default 0. */
  clean?: number;
  /** How much of the last full call's noise is added. Default 0. */
  noise?: number;
}

/** A full call, or `instead`, as the run itself decides (StepRow.skip). */
export interface AdaptiveCall {
  /** What distinguishes it from other calls. */
  kind: 'adaptive';
  /** Of the full call. Default 'all'. */
  halves?: Halves;
  /** What a call that is skipped does. */
  instead: Omit<RetrieveCall, 'gamma' | 'damping'> | PredictedCall;
  /** A call is skipped while its input has changed by less since the last full one, see {@link StepRow.skip}. */
  threshold: number;
  /** So many calls in a row may be skipped, at least 1. */
  maxSkips: number;
}

/** What a U-Net call of a run computes. */
export type CallPlan = FullCall | RetrieveCall | PredictedCall | ForecastCall | AdaptiveCall;

/** What a call turned out to be: the whole U-Net, its shallow part with cached features, or a guess of its output. */
export type CallKind = 'full' | 'retrieve' | 'predict';

/** What a row of a step table can say; forecasts become predictions before. */
export type PlacedCall = Exclude<CallPlan, ForecastCall>;

/** What a run computes. */
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

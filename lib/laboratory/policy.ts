import type { CacheOptions } from '../deepcache/index.js';
import { DeepCacheError } from '../errors.js';
import type { NoiseLevel } from '../schedulers/index.js';

/** What a policy knows of a run before it starts. */
export interface LabRun {
  /** U-Net calls that the sampler asks for. */
  readonly calls: number;
  /** Of each call, as training counts them. */
  readonly timesteps: readonly number[];
  /** How picture and noise are mixed in the latents before each call. */
  readonly levels: readonly NoiseLevel[];
  /** Timesteps of training. */
  readonly trainSteps: number;
  /** The variance that each step of training added. */
  readonly betas: ArrayLike<number>;
  /** What a retrieve step of each branch costs, as a share of a full call's multiply-accumulates. */
  readonly shares: readonly number[];
}

/** What the U-Net gave for one picture, [c, h, w] each. */
export interface LabOutput {
  /** What the sampler is given: with guidance if the run has any. */
  readonly guided: Float32Array;
  /** For the prompt alone. */
  readonly conditional: Float32Array;
}

/** What a U-Net call computes of guidance. */
export type LabHalves = 'all' | 'conditional';

/** A call that a policy decides about: nothing of it has been computed yet. */
export interface LabCall {
  /** From 0. */
  readonly index: number;
  /** The latents, [c, h, w]: after the call before, so a policy sees what its guesses led to. */
  readonly latents: Float32Array;
  /** What the U-Net would be given: the latents at the variance that it was trained on. */
  readonly input: Float32Array;
  /** How picture and noise are mixed in the input. */
  readonly inputLevel: NoiseLevel;
  /** Computes the whole U-Net. */
  full(halves?: LabHalves): Promise<LabOutput>;
  /** The shallow part, with the feature that the last full call kept at the branch (DeepCache). */
  retrieve(branch: number): Promise<LabOutput>;
  /** The noise that a model output means here. */
  toNoise(output: Float32Array): Float32Array;
  /** The output that means a noise. */
  fromNoise(noise: Float32Array): Float32Array;
  /** The clean latents that an output means; of an input other than that of the call, where one is given. */
  toClean(output: Float32Array, input?: Float32Array): Float32Array;
  /** The output that means clean latents. */
  fromClean(clean: Float32Array): Float32Array;
}

/** Gives the sampler a model output for each call in turn: computed, retrieved, or made up. */
export type Decider = (call: LabCall) => Promise<Float32Array>;

/** Parameters of a policy. */
export type LabSettings = Readonly<Record<string, number | string>>;

/** A kind of policies, each with settings of its own. */
export interface PolicyFamily<S extends LabSettings = LabSettings> {
  /** What the command line calls it. */
  readonly name: string;
  /** Paper or public code that it does as. */
  readonly reference: string;
  /** All of its settings, as published. */
  readonly defaults: S;
  /** Settings from the dearest to the cheapest, over which a front is drawn. */
  readonly front: readonly Partial<S>[];
  /** Branches whose features its full calls keep. */
  branches?(settings: S): readonly number[];
  /** Steps of its runs, where they are not those of the run without a cache. */
  steps?(settings: S, steps: number): number;
  /** Begins the run of one picture. */
  begin?(settings: S, run: LabRun): Decider;
  /** Instead: what the option `cache` is in runs of so many steps. */
  cache?(settings: S, steps: number): CacheOptions;
}

/** A policy as it is measured. */
export interface LabPolicy extends Pick<PolicyFamily, 'reference'> {
  /** Of its kind. */
  readonly family: string;
  /** With the settings that are not its kind's defaults. */
  readonly name: string;
  /** Branches whose features its full calls keep. */
  readonly branches: readonly number[];
  /** Steps of its runs, where the run without a cache has so many. */
  steps(steps: number): number;
  /** How the run of one picture is made. */
  readonly means: LabMeans;
}

/** A run is decided about call by call, or is that of the pipeline itself, with a cache whose calls are laid out before. */
export type LabMeans = { begin(run: LabRun): Decider } | { cache(steps: number): CacheOptions };

/** A policy of a family. */
export function policyOf<S extends LabSettings>(family: PolicyFamily<S>, given: Partial<S> = {}): LabPolicy {
  const settings = { ...family.defaults, ...given };
  const told = Object.entries(given).map(([key, value]) => `${key}=${value}`);
  return {
    family: family.name,
    name: [family.name, ...told].join(' '),
    reference: family.reference,
    branches: family.branches?.(settings) ?? [],
    steps: (steps) => family.steps?.(settings, steps) ?? steps,
    means: meansOf(family, settings),
  };
}

function meansOf<S extends LabSettings>(family: PolicyFamily<S>, settings: S): LabMeans {
  const { begin, cache } = family;
  if (begin) return { begin: (run) => begin(settings, run) };
  if (cache) return { cache: (steps) => cache(settings, steps) };
  throw new DeepCacheError('ERR_DEEPCACHE_INTERNAL', `${family.name} does not say how it runs`);
}

import type { CacheOptions } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { Scheduler, SchedulerConfig } from '../schedulers/index.js';
import type { Tensor } from '../tensor.js';
import { callable, checkSignal, real, whole } from './checks.js';
import type { StepEvent } from './result.js';
import { checkSeeds } from './seeds.js';

/** What pipelines without prompts take. Names are diffusers', in camelCase. */
export interface SamplingOptions {
  /** Steps of the sampler. Some make more U-Net calls than that. */
  steps?: number;
  /** diffusers' name of `steps`. */
  numInferenceSteps?: number;
  /** One generator for the whole batch, as diffusers' `generator`. Default, and -1: a random one, told in the result. */
  seed?: number | bigint;
  /** One generator for each image. */
  seeds?: readonly (number | bigint)[];
  /** Noise of unit variance to start from, [images, channels, height, width], instead of the seed's. */
  latents?: Tensor;
  /** 0 (default) is deterministic, 1 as noisy as DDPM; for samplers of the DDIM kind. */
  eta?: number;
  /** DeepCache; false (default) computes every step in full. */
  cache?: CacheOptions;
  /** Another sampler for this run: a name, a configuration or a scheduler. */
  scheduler?: string | SchedulerConfig | Scheduler;
  /** What the result holds: images (default), floats [n, 3, h, w] in [0, 1], or what was sampled as it is. */
  output?: 'image' | 'float32' | 'latent';
  /** Called after every U-Net call. What it throws, or a promise of its that rejects, ends the run. */
  onStep?: (event: StepEvent) => unknown;
  /** Every how many steps `onStep` receives what is sampled. Default: never. */
  latentsEvery?: number;
  /** Stops the run; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

const KNOWN = [
  'steps',
  'numInferenceSteps',
  'seed',
  'seeds',
  'latents',
  'eta',
  'cache',
  'scheduler',
  'output',
  'onStep',
  'latentsEvery',
  'signal',
];

/** Guidance doubles it: the U-Net takes up to 1024 samples. */
export const MAX_IMAGES = 512;

/**
 * Checks the options of a run and returns its number of steps.
 *
 * @param batch images in all, after the options that decide it were checked.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export function checkSamplingOptions(
  options: SamplingOptions,
  { batch, defaultSteps, extra }: { batch: number; defaultSteps: number; extra: readonly string[] },
): { steps: number; output: 'image' | 'float32' | 'latent' } {
  checkNames(options, [...KNOWN, ...extra]);
  const { steps, numInferenceSteps, output = 'image' } = options;
  if (steps !== undefined && numInferenceSteps !== undefined && steps !== numInferenceSteps) {
    throw invalidArgument(
      'numInferenceSteps',
      `is another name of steps; they say ${show(numInferenceSteps)} and ${show(steps)}`,
    );
  }
  const name = steps === undefined && numInferenceSteps !== undefined ? 'numInferenceSteps' : 'steps';
  if (!['image', 'float32', 'latent'].includes(output)) {
    throw invalidArgument('output', `must be 'image', 'float32' or 'latent', got ${show(output)}`);
  }
  if (options.eta !== undefined) real('eta', options.eta, 0, 0, 1);
  whole('latentsEvery', options.latentsEvery, 1, 1, 100_000);
  callable('onStep', options.onStep);
  checkSignal(options.signal);
  checkSeeds(options, batch);
  return { steps: whole(name, steps ?? numInferenceSteps, defaultSteps, 1, 100_000), output };
}

/** Throws unless the options are an object. */
export function requireObject(options: unknown, example: string): void {
  if (typeof options === 'object' && options !== null) return;
  throw invalidArgument('options', `must be an object, such as ${example}`);
}

import type { CacheOptions } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { Tiling } from '../models/tiling.js';
import { checkNames } from '../names.js';
import type { Scheduler, SchedulerConfig } from '../schedulers/index.js';
import type { Tensor } from '../tensor.js';
import { callable, checkSignal, flag, real, whole } from './checks.js';
import type { StepEvent } from './result.js';
import { checkSeeds } from './seeds.js';
import { toTiling, type VaeTilingOptions } from './tiling-option.js';

/** What every pipeline of the Stable Diffusion family takes. Names are diffusers', in camelCase. */
export interface GenerateOptions {
  /** One prompt or a batch of them. Not together with `promptEmbeds`. */
  prompt?: string | readonly string[];
  /** What the picture should not show; one for all prompts, or one each. Default: the empty prompt. */
  negativePrompt?: string | readonly string[];
  /** Steps of the sampler, 50 by default. Some samplers call the U-Net more often than that. */
  steps?: number;
  /** diffusers' name of `steps`. */
  numInferenceSteps?: number;
  /** Classifier-free guidance, 7.5 by default (SDXL 5); 1 and below turn it off. */
  guidanceScale?: number;
  /** Share of the guided output that is rescaled to the unguided one's deviation, 0 to 1. Default 0. */
  guidanceRescale?: number;
  /** Pixels, multiples of 8. Default: what the model was trained on. */
  width?: number;
  height?: number;
  /** One generator for the whole batch, as diffusers' `generator`. Default, and -1: a random one, told in the result. */
  seed?: number | bigint;
  /** One generator for each image. */
  seeds?: readonly (number | bigint)[];
  /** Images of each prompt, 1 by default. */
  numImages?: number;
  /** diffusers' name of `numImages`. */
  numImagesPerPrompt?: number;
  /** Noise of unit variance to start from, [images, 4, height / 8, width / 8], instead of the seed's. */
  latents?: Tensor;
  /** Encoded prompts [prompts, tokens, width], and the negative ones that go with them. */
  promptEmbeds?: Tensor;
  negativePromptEmbeds?: Tensor;
  /** Layers of the text encoder that are left out at the end. Default 0. */
  clipSkip?: number;
  /**
   * Reads prompts of any length, in blocks of 75 tokens that are encoded each for itself; the word BREAK in capitals
   * starts the next one. Negative prompts get as many blocks. Default false: what is beyond 75 tokens is cut off, as
   * diffusers does, and the result's notes say so.
   */
  longPrompts?: boolean;
  /**
   * Reads brackets as weights, by the rules of AUTOMATIC1111's web UI: `(word)` counts 1.1 times as much, `[word]` 1.1
   * times less, `(word:1.3)` 1.3 times as much, nested ones multiply, and `\\(` is a bracket. Default false: brackets
   * are text, as in diffusers.
   */
  promptWeighting?: boolean;
  /** DDIM: 0 (default) is deterministic, 1 as noisy as DDPM. */
  eta?: number;
  /** DeepCache; false (default) computes every step in full. */
  cache?: CacheOptions;
  /** Another sampler for this run: a name, a configuration or a scheduler. */
  scheduler?: string | SchedulerConfig | Scheduler;
  /** Timesteps or sigmas of your own, from high to low, for the samplers that take them. */
  timesteps?: readonly number[];
  sigmas?: readonly number[];
  /** What the result holds: images (default), floats [n, 3, h, w] in [0, 1], or latents. */
  output?: 'image' | 'float32' | 'latent';
  /**
   * Encodes and decodes pictures larger than a tile in overlapping tiles, which takes less memory; the result differs
   * a little. `true` takes tiles of the size that the autoencoder was trained on with a quarter of overlap, as
   * diffusers' enable_vae_tiling does. Default false. (Images of a batch are always decoded one at a time.)
   */
  vaeTiling?: boolean | VaeTilingOptions;
  /**
   * Called after every U-Net call. What it throws ends the run, and so does a promise of its that rejects; the run goes
   * on meanwhile, and ends when all of them have settled.
   */
  onStep?: (event: StepEvent) => unknown;
  /** Every how many steps `onStep` receives a preview. Default: never. */
  previewEvery?: number;
  /** Every how many steps `onStep` receives the latents as they are. Default: never. */
  latentsEvery?: number;
  /** Stops the run; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options that were checked, with defaults filled in. */
export interface ResolvedOptions extends GenerateOptions {
  prompts: readonly string[] | undefined;
  negativePrompts: readonly string[] | undefined;
  /** Prompts, encoded or not. */
  promptCount: number;
  steps: number;
  guidanceScale: number;
  guidanceRescale: number;
  width: number;
  height: number;
  numImages: number;
  /** Images in all. */
  batch: number;
  clipSkip: number;
  longPrompts: boolean;
  promptWeighting: boolean;
  /** From `vaeTiling`. */
  tiling: Tiling | undefined;
  output: 'image' | 'float32' | 'latent';
}

const KNOWN = [
  'prompt',
  'negativePrompt',
  'steps',
  'numInferenceSteps',
  'guidanceScale',
  'guidanceRescale',
  'width',
  'height',
  'seed',
  'seeds',
  'numImages',
  'numImagesPerPrompt',
  'latents',
  'promptEmbeds',
  'negativePromptEmbeds',
  'clipSkip',
  'longPrompts',
  'promptWeighting',
  'eta',
  'cache',
  'scheduler',
  'timesteps',
  'sigmas',
  'output',
  'vaeTiling',
  'onStep',
  'previewEvery',
  'latentsEvery',
  'signal',
];

/** Guidance doubles it: the U-Net takes up to 1024 samples. */
const MAX_IMAGES = 512;
const MAX_PIXELS = 16384;

/** Of a text. A model reads the first hundreds, with longPrompts some hundred thousand. */
const MOST_CHARACTERS = 2 ** 21;

/** What a pipeline knows that options depend on. */
export interface OptionDefaults {
  /** Image pixels. */
  width: number;
  height: number;
  /** Image pixels of a latent one: sizes are multiples of it. */
  scale: number;
  /** Default of guidanceScale; 7.5 itself. */
  guidanceScale?: number;
  textLayers: number;
  /** Side of a tile of the autoencoder, in image pixels. */
  tileSize: number;
  /** Names of options that the pipeline takes besides these. */
  extra?: readonly string[];
}

/**
 * Checks the options of a run.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, and what it may be.
 */
export function resolveOptions(options: GenerateOptions, defaults: OptionDefaults): ResolvedOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument('options', 'must be an object, such as { prompt: "a lighthouse" }');
  }
  checkNames(options, [...KNOWN, ...(defaults.extra ?? [])]);
  const steps = alias(options, 'steps', 'numInferenceSteps');
  const numImages = alias(options, 'numImages', 'numImagesPerPrompt');
  const prompts = texts('prompt', options.prompt);
  const negativePrompts = texts('negativePrompt', options.negativePrompt);
  checkTexts(options, prompts, negativePrompts);
  const promptCount = prompts?.length ?? tensorRows('promptEmbeds', options.promptEmbeds);
  if (negativePrompts && negativePrompts.length !== 1 && negativePrompts.length !== promptCount) {
    throw invalidArgument(
      'negativePrompt',
      `has ${negativePrompts.length} texts for ${promptCount} prompts; give one, or one each`,
    );
  }
  const list = ownList('timesteps', options.timesteps) ?? ownList('sigmas', options.sigmas);
  const resolved: ResolvedOptions = {
    ...options,
    prompts,
    negativePrompts,
    promptCount,
    steps: whole(steps.name, steps.value ?? list?.length, 50, 1, 100_000),
    guidanceScale: real('guidanceScale', options.guidanceScale, defaults.guidanceScale ?? 7.5, 0, 1000),
    guidanceRescale: real('guidanceRescale', options.guidanceRescale, 0, 0, 1),
    width: pixels('width', options.width, defaults.width, defaults.scale),
    height: pixels('height', options.height, defaults.height, defaults.scale),
    numImages: whole(numImages.name, numImages.value, 1, 1, MAX_IMAGES),
    batch: 0,
    clipSkip: whole('clipSkip', options.clipSkip, 0, 0, defaults.textLayers - 1),
    longPrompts: flag('longPrompts', options.longPrompts),
    promptWeighting: flag('promptWeighting', options.promptWeighting),
    tiling: toTiling(options.vaeTiling, defaults),
    output: options.output ?? 'image',
  };
  resolved.batch = promptCount * resolved.numImages;
  if (resolved.batch > MAX_IMAGES) {
    throw invalidArgument('numImages', `makes ${resolved.batch} images in one run; at most ${MAX_IMAGES}`);
  }
  if (!['image', 'float32', 'latent'].includes(resolved.output)) {
    throw invalidArgument('output', `must be 'image', 'float32' or 'latent', got ${show(options.output)}`);
  }
  if (options.eta !== undefined) real('eta', options.eta, 0, 0, 1);
  for (const name of ['previewEvery', 'latentsEvery'] as const) whole(name, options[name], 1, 1, 100_000);
  callable('onStep', options.onStep);
  checkSignal(options.signal);
  checkSeeds(options, resolved.batch);
  return resolved;
}

function checkTexts(
  options: GenerateOptions,
  prompts: readonly string[] | undefined,
  negativePrompts: readonly string[] | undefined,
): void {
  const { promptEmbeds, negativePromptEmbeds } = options;
  if (prompts && promptEmbeds) throw invalidArgument('promptEmbeds', 'and prompt exclude each other');
  if (!prompts && !promptEmbeds) throw invalidArgument('prompt', 'is missing');
  if (negativePrompts && negativePromptEmbeds) {
    throw invalidArgument('negativePromptEmbeds', 'and negativePrompt exclude each other');
  }
  if (negativePromptEmbeds && !promptEmbeds) {
    throw invalidArgument('negativePromptEmbeds', 'needs promptEmbeds of the same shape');
  }
}

/** The value of an option with two names, and the name that was used. */
function alias<A extends 'steps' | 'numImages', B extends 'numInferenceSteps' | 'numImagesPerPrompt'>(
  options: GenerateOptions,
  name: A,
  other: B,
): { name: A | B; value: number | undefined } {
  const [a, b] = [options[name], options[other]];
  if (a !== undefined && b !== undefined && a !== b) {
    throw invalidArgument(other, `is another name of ${name}; they say ${show(b)} and ${show(a)}`);
  }
  return a === undefined && b !== undefined ? { name: other, value: b } : { name, value: a };
}

function ownList(name: string, list: readonly number[] | undefined): readonly number[] | undefined {
  if (list === undefined || (Array.isArray(list) && list.length > 0)) return list;
  throw invalidArgument(name, `must be a list of at least one number, got ${show(list)}`);
}

/** One text, or `count` of them. */
export function textList(name: string, value: unknown, count: number): readonly string[] | undefined {
  const list = texts(name, value);
  if (!list || list.length === count) return list;
  throw invalidArgument(name, `has ${list.length} texts, ${count} are needed`);
}

function texts(name: string, value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length === 0 || !list.every((text) => typeof text === 'string')) {
    throw invalidArgument(name, `must be a string or a list of strings, got ${show(value)}`);
  }
  const longest = list.reduce((most, text) => Math.max(most, text.length), 0);
  if (longest > MOST_CHARACTERS) {
    throw invalidArgument(name, `has ${longest} characters; at most ${MOST_CHARACTERS}`);
  }
  return list;
}

function tensorRows(name: string, tensor: Tensor | undefined): number {
  if (!tensor || !Array.isArray(tensor.shape) || tensor.shape.length !== 3 || !(tensor.shape[0] as number)) {
    throw invalidArgument(name, 'must be a tensor { data, shape: [prompts, tokens, width] }');
  }
  return tensor.shape[0] as number;
}

function pixels(name: string, value: unknown, fallback: number, scale: number): number {
  const number = whole(name, value, fallback, scale, MAX_PIXELS);
  if (number % scale !== 0) {
    const near = Math.max(scale, Math.round(number / scale) * scale);
    throw invalidArgument(name, `must be a multiple of ${scale}, got ${number}; the next is ${near}`);
  }
  return number;
}

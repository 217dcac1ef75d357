import { invalidArgument } from '../../errors.js';
import type { Tiling } from '../../models/tiling.js';
import { checkOptions } from '../../options/check.js';
import { texts } from '../../options/checks.js';
import type { Family } from '../../options/families.js';
import type { Limits } from '../../options/limits.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { MAX_IMAGES } from '../../options/spec/run.js';
import { toTiling } from '../../options/tiling.js';
import type { Tensor } from '../../tensor.js';
import { checkSeeds } from './seeds.js';

/** What every pipeline of the Stable Diffusion family takes. Names are diffusers', in camelCase. */
export interface GenerateOptions extends OptionsOf<'text2img'> {}

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

/** What a pipeline knows that options depend on. */
export interface OptionDefaults extends Limits {
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
}

/**
 * Checks the options of a run and fills in their defaults.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, and what it may be.
 */
export function resolveOptions(
  family: Family,
  given: GenerateOptions,
  defaults: OptionDefaults,
): ResolvedOptions {
  const options = checkOptions(family, given, defaults);
  const prompts = texts('prompt', options.prompt);
  const negativePrompts = texts('negativePrompt', options.negativePrompt);
  const promptCount = prompts?.length ?? ((options.promptEmbeds as Tensor).shape[0] as number);
  if (negativePrompts && negativePrompts.length !== 1 && negativePrompts.length !== promptCount) {
    throw invalidArgument(
      'negativePrompt',
      `has ${negativePrompts.length} texts for ${promptCount} prompts; give one, or one each`,
    );
  }
  const { numImages = 1 } = options;
  const batch = promptCount * numImages;
  if (batch > MAX_IMAGES) {
    throw invalidArgument('numImages', `makes ${batch} images in one run; at most ${MAX_IMAGES}`);
  }
  checkSeeds(options, batch);
  return {
    ...options,
    prompts,
    negativePrompts,
    promptCount,
    steps: options.steps ?? (options.timesteps ?? options.sigmas)?.length ?? 50,
    guidanceScale: options.guidanceScale ?? defaults.guidanceScale ?? 7.5,
    guidanceRescale: options.guidanceRescale ?? 0,
    width: options.width ?? defaults.width,
    height: options.height ?? defaults.height,
    numImages,
    batch,
    clipSkip: options.clipSkip ?? 0,
    longPrompts: options.longPrompts ?? false,
    promptWeighting: options.promptWeighting ?? false,
    tiling: toTiling(options.vaeTiling, defaults),
    output: options.output ?? 'image',
  };
}

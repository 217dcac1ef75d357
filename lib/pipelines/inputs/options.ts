import type { CachePolicy } from '../../deepcache/index.js';
import { invalidArgument } from '../../errors.js';
import { addsOutput } from '../../guidance/added-output.js';
import type { GuiderName, GuiderOptions } from '../../guidance/guiders.js';
import type { Tiling } from '../../models/tiling.js';
import { type CheckScope, checkOptions } from '../../options/check.js';
import { requireShapes, texts } from '../../options/checks.js';
import type { Family } from '../../options/families.js';
import type { FreeNoise } from '../../options/free-noise.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { MAX_IMAGES } from '../../options/spec/run.js';
import { toTiling } from '../../options/tiling.js';
import type { PerSample } from '../../schedulers/index.js';
import type { Tensor } from '../../tensor.js';
import type { ModelFacts } from '../loading/facts.js';
import { ownSteps } from './own-steps.js';
import { checkSeeds } from './seeds.js';

/** What every pipeline of the Stable Diffusion family takes. Names are diffusers', in camelCase. */
export interface GenerateOptions extends OptionsOf<'text2img'> {}

/** Which part of the schedule a run takes; all of it by default. */
export interface RunSpan {
  /** Only the last so many steps (image to image). */
  stepsToRun?: number | undefined;
  /** All steps, over the lowest share of the timesteps that the model was distilled on. */
  originStrength?: number | undefined;
  /** From this fraction of the training schedule on, or up to it (hand-over between a model and its refiner). */
  denoisingStart?: number | undefined;
  denoisingEnd?: number | undefined;
}

/** Image pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

type CommonName =
  | 'seed'
  | 'seeds'
  | 'latents'
  | 'eta'
  | 'cache'
  | 'scheduler'
  | 'schedulerOptions'
  | 'onStep'
  | 'previewEvery'
  | 'latentsEvery'
  | 'signal';

/** The options of any run, checked and with defaults. */
export interface RunOptions extends Pick<OptionsOf<'text2img'>, CommonName> {
  readonly steps: number;
  readonly timesteps?: readonly number[] | undefined;
  readonly sigmas?: readonly number[] | undefined;
  readonly output: 'image' | 'float32' | 'latent';
  /** What the result holds: images, or one video. */
  readonly images: number;
  /** What is sampled: [images or frames, channels, height, width]. */
  readonly latent: readonly [number, number, number, number];
  /** So many samples that follow each other are one video. */
  readonly frames?: number | undefined;
  /** In which motion modules see the frames; undefined: all at once. */
  readonly freeNoise?: FreeNoise | undefined;
  /** Whether the U-Net computes each of them without the condition, too. */
  readonly guided: boolean;
  /** Of the guidance, with `guided`; may differ between samples. */
  readonly guidance: PerSample;
  readonly guidanceRescale: number;
  /** The factor of a third output, which the U-Net then computes for each sample. */
  readonly guidanceThird?: number | undefined;
  readonly guidanceSchedule?: readonly number[] | undefined;
  readonly cutoffStepIndex?: number | undefined;
  readonly cutoffStepRatio?: number | undefined;
  readonly guider?: GuiderName | undefined;
  readonly guiderOptions?: GuiderOptions | undefined;
  readonly pagScale?: number | undefined;
  readonly pagAdaptiveScale?: number | undefined;
  readonly pagAppliedLayers?: string | readonly string[] | undefined;
  readonly sagScale?: number | undefined;
  readonly span: RunSpan;
  /** Whether it has the picture and the mask that a sampler which repaints works with. */
  readonly repaints?: boolean | undefined;
  /** What each call computes, where the pipeline has a rule of its own. */
  readonly policy?: CachePolicy;
}

/** Outputs of the U-Net for each sample that differ in what they are given. */
export function conditionsOf({
  guided,
  guidanceThird,
}: Pick<RunOptions, 'guided' | 'guidanceThird'>): 1 | 2 | 3 {
  if (!guided) return 1;
  return guidanceThird === undefined ? 2 : 3;
}

/** What guidance combines of each sample: these, and the perturbed or the degraded one. */
export function outputsOf(options: RunOptions): 1 | 2 | 3 {
  return (conditionsOf(options) + (addsOutput(options) ? 1 : 0)) as 1 | 2 | 3;
}

/** Those of a run from text: the options of all its kinds, as far as they are given. */
export interface TextRunOptions
  extends RunOptions,
    Omit<OptionsOf<'xl-inpaint'>, keyof RunOptions>,
    Pick<OptionsOf<'pix2pix'>, 'imageGuidanceScale'>,
    Pick<OptionsOf<'x4'>, 'noiseLevel'> {
  readonly prompts: readonly string[] | undefined;
  readonly negativePrompts: readonly string[] | undefined;
  /** Prompts, encoded or not. */
  readonly promptCount: number;
  readonly guidanceScale: number;
  readonly width: number;
  readonly height: number;
  /** Whether a size was asked for. */
  readonly isSized: boolean;
  readonly numImages: number;
  /** Images in all. */
  readonly batch: number;
  readonly clipSkip: number;
  readonly longPrompts: boolean;
  readonly promptWeighting: boolean;
  /** From `vaeTiling`. */
  readonly tiling: Tiling | undefined;
}

/** Throws when prompts or classes and `numImages` make more images than one run does. */
export function requireFewImages(images: number): void {
  if (images <= MAX_IMAGES) return;
  throw invalidArgument('numImages', `makes ${images} images in one run; at most ${MAX_IMAGES}`);
}

/** What families of text differ in. */
export interface TextDefaults {
  /** Of guidanceScale; 7.5 itself. */
  readonly guidanceScale?: number;
  /** Channels of a tensor that stands for a picture. */
  readonly imageChannels?: readonly number[];
  /** Names of the axes of start noise. */
  readonly latentAxes?: readonly string[];
  /** The size where options name none; the model's own itself. */
  readonly size?: Size | undefined;
}

/**
 * Checks the options of a run from text and fills in their defaults.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, and what it may be.
 */
export function resolveTextOptions(
  family: Family,
  given: GenerateOptions,
  facts: ModelFacts,
  { guidanceScale: usualGuidance = 7.5, imageChannels = [3], latentAxes, size }: TextDefaults = {},
  scope: CheckScope = {},
): TextRunOptions {
  const { scale, channels, sampleWidth, sampleHeight, textLayers, tileSize } = facts;
  const options = checkOptions(
    family,
    given,
    { scale, textLayers, tileSize, imageChannels, ...(latentAxes && { latentAxes }) },
    scope,
  );
  const { width = size?.width ?? sampleWidth * scale, height = size?.height ?? sampleHeight * scale } =
    options;
  const prompts = texts('prompt', options.prompt);
  const negativePrompts = texts('negativePrompt', options.negativePrompt);
  const promptCount = prompts?.length ?? ((options.promptEmbeds as Tensor).shape[0] as number);
  if (negativePrompts && negativePrompts.length !== 1 && negativePrompts.length !== promptCount) {
    throw invalidArgument(
      'negativePrompt',
      `has ${negativePrompts.length} texts for ${promptCount} prompts; give one, or one each`,
    );
  }
  const { numImages = 1, guidanceScale = usualGuidance } = options;
  const batch = promptCount * numImages;
  requireFewImages(batch);
  checkSeeds(options, batch);
  const { contextWidth } = facts;
  requireShapes(options, {
    promptEmbeds: [null, null, contextWidth],
    negativePromptEmbeds: [promptCount, options.promptEmbeds?.shape[1] ?? null, contextWidth],
  });
  const own = ownSteps(family.startsWith('xl') ? 'xl' : 'sd', options);
  return {
    ...options,
    ...own,
    prompts,
    negativePrompts,
    promptCount,
    steps: options.steps ?? (own.timesteps ?? own.sigmas)?.length ?? 50,
    guidanceScale,
    guidance: guidanceScale,
    guidanceRescale: options.guidanceRescale ?? 0,
    guided: (guidanceScale > 1 || options.guidanceSchedule !== undefined) && facts.guidanceWidth === 0,
    width,
    height,
    isSized: options.width !== undefined || options.height !== undefined,
    numImages,
    batch,
    images: batch,
    latent: [batch, channels, height / scale, width / scale],
    span: {},
    clipSkip: options.clipSkip ?? 0,
    longPrompts: options.longPrompts ?? false,
    promptWeighting: options.promptWeighting ?? false,
    tiling: toTiling(options.vaeTiling, { scale, tileSize }),
    output: options.output ?? 'image',
  };
}

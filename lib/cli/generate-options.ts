import type { CacheOptions } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import type { Device } from '../native/device.js';
import { real, whole } from '../pipelines/checks.js';
import type { Dtype, LoadOptions } from '../pipelines/components.js';
import type { GenerateOptions } from '../pipelines/options.js';
import { notAField } from '../schedulers/fields.js';
import { findScheduler, isKnownField, unknownScheduler } from '../schedulers/registry.js';
import { CURRENT_VERSION } from '../schedulers/versions.js';
import { readTensor } from './tensor-file.js';

/** The flags of `deepcache generate` as commander hands them over. */
export interface GenerateFlags {
  prompt?: string[];
  prompts?: string;
  negativePrompt?: string[];
  output?: string;
  force?: boolean;
  width?: number;
  height?: number;
  numImages?: number;
  numImagesPerPrompt?: number;
  seed?: bigint;
  seeds?: bigint[];
  quality?: number;
  image?: string;
  mask?: string;
  /** False with --no-keep-original. */
  keepOriginal?: boolean;
  class?: number[];
  frames?: number;
  fps?: number;
  strength?: number;
  prompt2?: string[];
  negativePrompt2?: string[];
  refiner?: string;
  refinerStart?: number;
  steps?: number;
  numInferenceSteps?: number;
  guidanceScale?: number;
  guidanceRescale?: number;
  cache?: CacheOptions;
  longPrompts?: boolean;
  promptWeighting?: boolean;
  clipSkip?: number;
  eta?: number;
  scheduler?: string;
  schedulerConfig?: Record<string, unknown>;
  timesteps?: number[];
  sigmas?: number[];
  latents?: string;
  promptEmbeds?: string;
  negativePromptEmbeds?: string;
  model?: string;
  variant?: string;
  device: Device;
  dtype: Dtype;
  threads?: number;
  autotune?: boolean;
  /** True, or the size of a tile. */
  vaeTiling?: boolean | number;
  unloadTextEncoder?: boolean;
  previewEvery?: number;
  preview?: string;
  json?: boolean;
  quiet?: boolean;
}

/** Flags that are options of the library under the same name and with the same values. */
const SAME = [
  'width',
  'height',
  'numImages',
  'numImagesPerPrompt',
  'seed',
  'seeds',
  'steps',
  'numInferenceSteps',
  'guidanceScale',
  'guidanceRescale',
  'image',
  'strength',
  'prompt2',
  'negativePrompt2',
  'cache',
  'longPrompts',
  'promptWeighting',
  'clipSkip',
  'eta',
  'timesteps',
  'sigmas',
] as const;

/** Steps between previews when only their file is named. */
const PREVIEW_EVERY = 5;

/** Flags that name files. */
const TENSORS = ['latents', 'promptEmbeds', 'negativePromptEmbeds'] as const;

export function toGenerateOptions(flags: GenerateFlags): GenerateOptions {
  const { prompt, negativePrompt, vaeTiling } = flags;
  if (!prompt && !flags.promptEmbeds) throw invalidArgument('prompt', 'is missing: say what to show');
  const same = SAME.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]]);
  const tensors = TENSORS.filter((name) => flags[name] !== undefined).map((name) => [
    name,
    readTensor(flags[name] as string),
  ]);
  const scheduler = schedulerOption(flags);
  const previewEvery = flags.previewEvery ?? (flags.preview === undefined ? undefined : PREVIEW_EVERY);
  return {
    ...(prompt && { prompt }),
    ...(negativePrompt && { negativePrompt }),
    ...(flags.mask !== undefined && { maskImage: flags.mask, keepOriginal: flags.keepOriginal !== false }),
    ...Object.fromEntries(same),
    ...(scheduler && { scheduler }),
    ...(vaeTiling !== undefined && {
      vaeTiling: typeof vaeTiling === 'number' ? { tileSize: vaeTiling } : vaeTiling,
    }),
    ...(previewEvery && { previewEvery }),
    ...Object.fromEntries(tensors),
  };
}

/** Flags that mean nothing without another one. */
const NEEDS = [
  ['strength', 'image', 'says how much of a picture to give up'],
  ['mask', 'image', 'says where a picture is repainted'],
  ['refinerStart', 'refiner', 'says when a refiner begins'],
] as const;

/** Throws what is wrong with flags, without a look at the model. */
export function checkFlags(flags: GenerateFlags, isVideo: boolean): void {
  for (const [name, needed, what] of NEEDS) {
    if (flags[name] === undefined || flags[needed] !== undefined) continue;
    throw invalidArgument(name, `${what}: give --${needed} too`);
  }
  if (flags.fps !== undefined && !isVideo) throw invalidArgument('fps', 'is for videos: give --frames too');
  whole('quality', flags.quality, 92, 1, 100);
  for (const name of ['steps', 'numInferenceSteps'] as const) whole(name, flags[name], 1, 1, 100_000);
  for (const name of ['numImages', 'numImagesPerPrompt'] as const) whole(name, flags[name], 1, 1, 512);
  real('strength', flags.strength, 1, 0, 1);
  whole('frames', flags.frames, 1, 1, 512);
  for (const name of ['width', 'height'] as const) whole(name, flags[name], 8, 1, 16384);
}

/** Pipelines that need no prompt. */
const UNPROMPTED = ['DDPMPipeline', 'ClassConditionalLDMPipeline'];

/** What a model is asked for: its pipeline's options, and an error for flags that it does not have. */
export function optionsFor(className: string | undefined, flags: GenerateFlags): GenerateOptions {
  if (className === undefined || !UNPROMPTED.includes(className)) {
    if (flags.class !== undefined) throw invalidArgument('class', 'is for class-conditional models only');
    return toGenerateOptions(flags);
  }
  const classConditional = className === 'ClassConditionalLDMPipeline';
  if (classConditional && flags.class === undefined) {
    throw invalidArgument('class', 'is missing: say which class to show, by its number');
  }
  if (!classConditional && flags.class !== undefined) {
    throw invalidArgument('class', 'is for class-conditional models only');
  }
  const foreign = flags.prompt ? 'prompt' : flags.mask !== undefined ? 'mask' : undefined;
  if (foreign) throw invalidArgument(foreign, `is nothing that a ${className} reads`);
  // The check for a prompt apart, the flags mean the same.
  const { prompt: _, numImages, ...rest } = toGenerateOptions({ ...flags, prompt: [''] });
  const own = classConditional
    ? { classLabels: flags.class, ...(numImages && { numImages }) }
    : { ...(numImages && { batchSize: numImages }) };
  return { ...rest, ...own };
}

/** Flags of `generate` that mean the same in commands that measure many prompts. */
export const MEASURED_FLAGS: readonly string[] = [
  ...['prompt', 'force', 'width', 'height', 'steps', 'guidanceScale', 'scheduler', 'schedulerConfig'],
  ...['model', 'variant', 'device', 'dtype', 'threads', 'autotune', 'json', 'quiet'],
];

export function toLoadOptions(flags: GenerateFlags): LoadOptions {
  const { device, dtype, threads, autotune, variant, unloadTextEncoder } = flags;
  // Here too: the folder's own sampler may be one that there is not.
  const scheduler = schedulerOption(flags);
  return {
    device,
    dtype,
    ...(scheduler && { scheduler }),
    ...(threads !== undefined && { threads }),
    ...(autotune && { autotune }),
    ...(variant && { variant }),
    ...(unloadTextEncoder && { unloadTextEncoder }),
  };
}

/** A name and fields of a configuration, which may come alone: then they go on top of the model's own sampler. */
function schedulerOption({ scheduler, schedulerConfig }: GenerateFlags): GenerateOptions['scheduler'] {
  const found = scheduler === undefined ? undefined : findScheduler(scheduler);
  if (scheduler !== undefined && !found) throw invalidArgument('scheduler', unknownScheduler(scheduler));
  for (const field of Object.keys(schedulerConfig ?? {})) {
    const isKnown = found ? Object.hasOwn(found.scheduler.defaults, field) : isKnownField(field);
    if (isKnown || field.startsWith('_') || schedulerConfig?._diffusers_version !== undefined) continue;
    throw invalidArgument('schedulerConfig', `says what is not known: ${notAField(found?.scheduler, field)}`);
  }
  if (scheduler === undefined) return schedulerConfig;
  // A whole configuration tells by its version what its own class means by absent fields, and nothing about another.
  const isOther = findScheduler(schedulerConfig?._class_name)?.scheduler !== found?.scheduler;
  const isWhole = schedulerConfig?._diffusers_version !== undefined;
  return {
    ...schedulerConfig,
    ...(isWhole && isOther && { _diffusers_version: CURRENT_VERSION }),
    _class_name: scheduler,
  };
}

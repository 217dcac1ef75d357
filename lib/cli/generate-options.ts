import { invalidArgument } from '../errors.js';
import type { ImagePromptUse } from '../ip-adapter/settings.js';
import type { Device } from '../native/device.js';
import { whole } from '../options/checks.js';
import type { Family } from '../options/families.js';
import type { OptionsOf } from '../options/spec/index.js';
import type { Dtype } from '../options/spec/loading.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import type { LoadOptions } from '../pipelines/loading/parts.js';
import { notAField } from '../schedulers/fields.js';
import { findScheduler, isKnownField, unknownScheduler } from '../schedulers/registry.js';
import { CURRENT_VERSION } from '../schedulers/versions.js';
import { withControls } from './controls.js';
import { optionsOfFlags } from './flags.js';

/**
 * The flags of `deepcache generate` that mean more here than an option of the library. As commander hands them over
 * there are all others beside them.
 */
export interface GenerateFlags {
  prompt?: string[];
  prompts?: string;
  /** A picture whose settings are taken. */
  from?: string;
  output?: string;
  force?: boolean;
  width?: number;
  height?: number;
  quality?: number;
  image?: string;
  mask?: string;
  strength?: number;
  keepOriginal?: boolean;
  lora?: string[];
  loraDir?: string;
  ipAdapter?: (string | ImagePromptUse)[];
  imageEncoder?: string;
  /** ControlNets and what they see, in one: see withControls(). */
  control?: string[];
  controlNet?: string[];
  controlImage?: unknown[];
  frames?: number;
  fps?: number;
  refiner?: string;
  refinerStart?: number;
  scheduler?: string;
  schedulerConfig?: Record<string, unknown>;
  model?: string;
  embedding?: string[];
  modelsDir?: string;
  revision?: string;
  variant?: string;
  offline?: boolean;
  cacheDir?: string;
  vae?: string;
  motionAdapter?: string;
  device?: Device;
  dtype?: Dtype;
  previewEvery?: number;
  previewVae?: string;
  preview?: string;
  json?: boolean;
  quiet?: boolean;
}

/** Steps between previews when only their file is named. */
const PREVIEW_EVERY = 5;

/** Flags that mean nothing without another one. */
const NEEDS = [
  ['strength', 'image', 'says how much of a picture to give up'],
  ['mask', 'image', 'says where a picture is repainted'],
  ['refinerStart', 'refiner', 'says when a refiner begins'],
] as const;

/** Throws what is wrong with flags that are no options of the library. */
export function checkFlags(flags: GenerateFlags, isVideo: boolean): void {
  for (const [name, needed, what] of NEEDS) {
    if (flags[name] === undefined || flags[needed] !== undefined) continue;
    throw invalidArgument(name, `${what}: give --${needed} too`);
  }
  if (flags.fps !== undefined && !isVideo) throw invalidArgument('fps', 'is for videos: give --frames too');
  whole('quality', flags.quality, 92, 1, 100);
}

/** The options of a family's `generate` that flags stand for; what is wrong with their values is said elsewhere. */
export function toGenerateOptions(flags: GenerateFlags, family: Family = 'text2img'): GenerateOptions {
  const { preview, previewEvery = preview === undefined ? undefined : PREVIEW_EVERY } = flags;
  const { scheduler: _, ...given } = { ...withControls(flags), ...(previewEvery && { previewEvery }) };
  const scheduler = schedulerOption(flags);
  // A video's frames a second are its file's as well.
  return { ...withPicturesOf(optionsOfFlags(family, given, ['fps'])), ...(scheduler && { scheduler }) };
}

/** Pictures of all ControlNets in one row, given to each as many as its `controlMode` names. */
function withPicturesOf(options: Record<string, unknown>): Record<string, unknown> {
  const { controlImage: pictures, controlMode: modes } = options as OptionsOf<'text2img'>;
  if (!Array.isArray(pictures) || !Array.isArray(modes) || !modes.some(Array.isArray)) return options;
  const counts = modes.map((mode) => Math.max(1, [mode].flat().length));
  if (pictures.length !== counts.reduce((sum, count) => sum + count, 0)) return options;
  let next = 0;
  const controlImage = counts.map((count) => {
    const own = pictures.slice(next, next + count);
    next += count;
    return count === 1 ? own[0] : own;
  });
  return { ...options, controlImage };
}

/** Options that say where a model's parts are. */
export const PLACES = ['config', 'unet', 'vae', 'textEncoder', 'textEncoder2', 'useEma'] as const;

/** Flags of `generate` that mean the same in commands that measure many prompts. */
export const MEASURED_FLAGS: readonly string[] = [
  ...['prompt', 'force', 'width', 'height', 'steps', 'guidanceScale', 'scheduler', 'schedulerConfig'],
  ...[
    'schedulerOptions',
    'distilled',
    'lora',
    'loraDir',
    'ipAdapter',
    'imageEncoder',
    'model',
    'embedding',
    'variant',
    ...PLACES,
    'device',
    'dtype',
    'threads',
    'revision',
    'offline',
    'cacheDir',
    'modelsDir',
    'autotune',
    'json',
    'quiet',
  ],
];

export function toLoadOptions(flags: GenerateFlags): LoadOptions {
  const { scheduler: _, ...given } = withControls(flags);
  // Here too: the folder's own sampler may be one that there is not.
  const scheduler = schedulerOption(flags);
  return { ...optionsOfFlags('load', given), ...(scheduler && { scheduler }) };
}

/** A name and fields of a configuration, which may come alone: then they go on top of the model's own sampler. */
function schedulerOption({ scheduler, schedulerConfig }: GenerateFlags): GenerateOptions['scheduler'] {
  const found = scheduler === undefined ? undefined : findScheduler(scheduler);
  if (scheduler !== undefined && !found) throw invalidArgument('scheduler', unknownScheduler(scheduler));
  for (const field of Object.keys(schedulerConfig ?? {})) {
    const isKnown = found ? Object.hasOwn(found.scheduler.defaults, field) : isKnownField(field);
    if (isKnown || field.startsWith('_') || schedulerConfig?._diffusers_version !== undefined) continue;
    throw invalidArgument('schedulerConfig', `has an unknown field: ${notAField(found?.scheduler, field)}`);
  }
  if (scheduler === undefined) return schedulerConfig;
  // A whole configuration says by its version what its own class means by absent fields, and nothing about another.
  const isOther = findScheduler(schedulerConfig?._class_name)?.scheduler !== found?.scheduler;
  const isWhole = schedulerConfig?._diffusers_version !== undefined;
  return {
    ...schedulerConfig,
    ...(isWhole && isOther && { _diffusers_version: CURRENT_VERSION }),
    _class_name: scheduler,
  };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CacheOptions } from '../../deepcache/index.js';
import type { TextualInversion } from '../../embeddings/textual-inversions.js';
import { freeUFields } from '../../guidance/free-u.js';
import { perturbs } from '../../guidance/perturbed.js';
import { degrades } from '../../guidance/self-attention.js';
import { packageRoot } from '../../package-root.js';
import { fieldsSet } from '../../schedulers/fields-set.js';
import type { Scheduler } from '../../schedulers/index.js';
import type { TextRunOptions } from '../inputs/options.js';
import { tellSeeds } from '../inputs/seeds.js';
import type { PipelineParts } from '../loading/parts.js';
import { countCalls, type RanCall } from '../loop/calls.js';

/** Names and values; those that are undefined or false are left out. */
export type SettingsFields = Readonly<Record<string, unknown>>;

/** What a picture was made from: the fields of its settings besides the prompts. */
export interface Recipe {
  prompt?: string | undefined;
  negativePrompt?: string | undefined;
  fields: SettingsFields;
}

/**
 * The settings of a picture as text for its file, in the form that image tools know from the field: the prompt, the
 * negative prompt, then comma-separated names and values. Values with commas, colons or line feeds are JSON strings.
 */
export function settingsText({ prompt, negativePrompt, fields }: Recipe): string {
  const texts = { prompt: prompt ?? '', negativePrompt: negativePrompt ?? '' };
  // A reader of the lines could not tell where the one ends.
  const unclear = Object.values(texts).some((text) => /\r|(?:^|\n)Negative prompt:/.test(text));
  const all: SettingsFields = { ...fields, Texts: unclear && JSON.stringify(texts) };
  const line = settingsLine(all);
  // Not join(), which copies: prompts may have a megabyte, and pictures share them.
  const first = prompt === undefined ? '' : `${prompt}\n`;
  const second = negativePrompt ? `Negative prompt: ${negativePrompt}\n` : '';
  return first + second + line;
}

/** The last line of settings, or more of it. */
export function settingsLine(fields: SettingsFields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([name, value]) => `${name}: ${quoted(String(value))}`)
    .join(', ');
}

/** What a recipe is made of besides the options. */
interface RecipeParts {
  sampler: SettingsFields;
  own: SettingsFields;
  end: SettingsFields;
  embeddings?: readonly TextualInversion[] | undefined;
}

/** The recipe of one image of a run of latents; `own` are fields of the kind of run and of the model. */
export function recipeOf(
  options: TextRunOptions,
  seeds: readonly bigint[],
  image: number,
  { sampler, own, end, embeddings = [] }: RecipeParts,
): Recipe {
  const { prompts, negativePrompts, numImages, guidanceRescale, width, height, tiling, clipSkip } = options;
  const index = Math.floor(image / numImages);
  const prompt = prompts?.[index];
  const negativePrompt = negativePrompts?.[negativePrompts.length === 1 ? 0 : index];
  return {
    prompt: prompt ?? '(encoded prompt)',
    negativePrompt,
    fields: {
      Steps: (options.timesteps ?? options.sigmas)?.length ?? options.steps,
      ...sampler,
      'CFG scale': options.guidanceScale,
      'CFG rescale': guidanceRescale > 0 && guidanceRescale,
      ...guidanceFields(options),
      ...seedFields(seeds, options.batch, image),
      Size: `${width}x${height}`,
      // The web UI counts from 1: the last layer is left out at 2.
      'Clip skip': clipSkip > 0 && clipSkip + 1,
      'Long prompts': options.longPrompts,
      'Prompt weighting': options.promptWeighting,
      'VAE tiles': tiling && `${tiling.tile} overlap ${tiling.overlap}`,
      Latents: options.latents && 'given',
      ...own,
      ...embeddingFields(embeddings, [prompt, negativePrompt, ...Object.values(own)]),
      ...end,
    },
  };
}

/** Guidance that changes during the run, and FreeU. */
function guidanceFields(options: TextRunOptions): SettingsFields {
  const { guidanceSchedule, cutoffStepIndex, cutoffStepRatio } = options;
  return {
    'CFG schedule': guidanceSchedule?.join(' ') ?? false,
    // Zero is a value of theirs.
    'CFG cutoff step': cutoffStepIndex !== undefined && String(cutoffStepIndex),
    'CFG cutoff ratio': cutoffStepRatio !== undefined && String(cutoffStepRatio),
    ...guiderFields(options),
    ...freeUFields(options.freeU),
  };
}

/** How outputs are combined, and the perturbed or the degraded one. */
function guiderFields(options: TextRunOptions): SettingsFields {
  const { guider = 'cfg', guiderOptions, pagScale, pagAdaptiveScale, pagAppliedLayers } = options;
  return {
    Guider: guider !== 'cfg' && guider,
    'Guider options': guiderOptions && nonEmpty(JSON.stringify(guiderOptions)),
    ...(perturbs(options) && {
      'PAG scale': pagScale,
      'PAG adaptive scale': pagAdaptiveScale || undefined,
      'PAG layers': pagAppliedLayers && JSON.stringify([pagAppliedLayers].flat()),
    }),
    ...(degrades(options) && { 'SAG scale': options.sagScale }),
  };
}

/** The textual inversions that texts use, as the web UI names them, and their files. */
function embeddingFields(embeddings: readonly TextualInversion[], texts: readonly unknown[]): SettingsFields {
  // Those of an adapter's file come with that.
  const used = embeddings.filter(
    ({ token, adapter }) =>
      adapter === undefined && texts.some((text) => typeof text === 'string' && text.includes(token)),
  );
  if (used.length === 0) return {};
  return {
    'TI hashes': used.map(({ token, hash }) => `${token}: ${hash}`).join(', '),
    'TI files': used.map(({ token, file }) => `${token}: ${file}`).join(', '),
  };
}

interface SamplerUse {
  eta?: number | undefined;
  schedulerOptions?: object | undefined;
  timesteps?: readonly number[] | undefined;
  sigmas?: readonly number[] | undefined;
}

/** The sampler of a run: its class, what is set besides the class' defaults, and its own steps. */
export function samplerFields(
  scheduler: Scheduler,
  { eta, timesteps, sigmas, schedulerOptions }: SamplerUse,
): SettingsFields {
  return {
    Sampler: scheduler.className.replace(/Scheduler$/, ''),
    'Sampler config': nonEmpty(JSON.stringify(fieldsSet(scheduler))),
    'Sampler options': schedulerOptions && nonEmpty(JSON.stringify(schedulerOptions)),
    Eta: (scheduler.takesEta && eta) || undefined,
    Timesteps: timesteps?.join(' '),
    Sigmas: sigmas?.join(' '),
  };
}

const nonEmpty = (json: string) => json !== '{}' && json;

export function seedFields(seeds: readonly bigint[], batch: number, image: number): SettingsFields {
  return {
    Seed: tellSeeds(seeds)[seeds.length === 1 ? 0 : image],
    // One generator draws for the whole batch: the place in it is part of the recipe.
    ...(seeds.length === 1 && batch > 1 && { 'Batch size': batch, 'Batch position': image }),
  };
}

/** The end of all settings: the cache and how many calls were in full, the model, and what computed. */
export function endFields(
  { model, backend, models, motionAdapter }: PipelineParts & { readonly motionAdapter?: string | undefined },
  cache: CacheOptions | undefined,
  calls: readonly RanCall[],
): SettingsFields {
  const full = countCalls(calls, 'full');
  return {
    DeepCache: cache && (typeof cache === 'string' ? cache : JSON.stringify(cache)),
    'Full calls': full < calls.length && `${full} of ${calls.length}`,
    'Motion adapter': motionAdapter,
    Loras: models.loras?.settings.loras,
    'Lora hashes': models.loras?.settings.hashes,
    Model: model?.name,
    'Model fingerprint': model?.fingerprint,
    Device: backend.device,
    Precision: backend.dtype,
    Version: `deepcache ${version()}`,
  };
}

function quoted(text: string): string {
  return /[,:\n"]/.test(text) ? JSON.stringify(text) : text;
}

let known: string | undefined;

function version(): string {
  known ??= String(JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')).version);
  return known;
}

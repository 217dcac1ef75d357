import { DeepCacheError } from '../errors.js';
import { HIRES_FIELDS, hiresFixOf } from '../hires/fields.js';
import { imagePromptsOf } from '../ip-adapter/settings.js';
import { UPSCALE_FIELDS, upscaleOfFields } from '../upscale/fields.js';
import { OWN_READERS, tidied } from './own-readers.js';
import type { PictureSettings } from './parse.js';
import { flag, json, list, notA, number, type Reader, texts } from './readers.js';

/** Options that repeat a picture, `ipAdapter` as the command line has it, and what they cannot say. */
export interface RepeatOptions {
  readonly options: Readonly<Record<string, unknown>>;
  /** Names of fields that were passed over. */
  readonly ignored: readonly string[];
  /** Which of the run's pictures it is. */
  readonly position: number;
}

const READERS: Readonly<Record<string, Reader>> = {
  Steps: number('steps'),
  Sampler: (text) => ({ scheduler: text }),
  'Sampler config': json('schedulerConfig'),
  'Sampler options': json('schedulerOptions'),
  Eta: number('eta'),
  Timesteps: list('timesteps'),
  Sigmas: list('sigmas'),
  'CFG scale': number('guidanceScale'),
  'CFG rescale': number('guidanceRescale'),
  'CFG schedule': list('guidanceSchedule'),
  'CFG cutoff step': number('cutoffStepIndex'),
  'CFG cutoff ratio': number('cutoffStepRatio'),
  Guider: (text) => ({ guider: text }),
  'Guider options': json('guiderOptions'),
  'PAG scale': number('pagScale'),
  'PAG adaptive scale': number('pagAdaptiveScale'),
  'PAG layers': texts('pagAppliedLayers'),
  'SAG scale': number('sagScale'),
  FreeU: json('freeU'),
  Seed: (text, name) => {
    if (!/^-?\d{1,20}$/.test(text)) throw notA(name, 'a whole number', text);
    return { seed: BigInt(text) };
  },
  Size: (text, name) => {
    const [, width, height] = /^(\d{1,6})x(\d{1,6})$/.exec(text) ?? [];
    if (height === undefined) throw notA(name, 'WIDTHxHEIGHT', text);
    return { width: Number(width), height: Number(height) };
  },
  // The web UI counts from 1.
  'Clip skip': number('clipSkip', (value) => value - 1),
  'Batch size': number('numImages'),
  'Long prompts': flag('longPrompts'),
  'Prompt weighting': flag('promptWeighting'),
  'VAE tiles': (text, name) => {
    const [, tile, overlap] = /^(\d{1,6}) overlap (\d{1,6})$/.exec(text) ?? [];
    if (overlap === undefined) throw notA(name, 'TILE overlap PIXELS', text);
    return { vaeTiling: { tileSize: Number(tile), overlap: Number(overlap) } };
  },
  'IP-Adapters': (text) => ({ ipAdapter: imagePromptsOf(text) }),
  DeepCache: (text, name) => (text.startsWith('{') ? json('cache')(text, name) : { cache: text }),
};

/** What was computed, and on what: it decides nothing about a run that is repeated elsewhere. */
const ABOUT = [
  'Full calls',
  'Device',
  'Precision',
  'Version',
  'Model',
  'Model fingerprint',
  'Batch position',
];
/** Given beside the settings: files that a name does not find. */
const FILES = [
  ...['Loras', 'Lora hashes', 'TI hashes', 'TI files'],
  ...['Motion adapter', 'Refiner', 'Refiner fingerprint'],
];

/**
 * The options that make a picture again. Of other programs' pictures what is not known is passed over; of our own it is
 * an error, since the result would be another picture.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for values that cannot be, ERR_DEEPCACHE_UNSUPPORTED.
 */
export function repeatOptions({ prompt, negativePrompt, fields }: PictureSettings): RepeatOptions {
  const isOurs = fields.Version?.startsWith('deepcache ') === true;
  const ignored: string[] = [];
  const options: Record<string, unknown> = { prompt, ...(negativePrompt !== '' && { negativePrompt }) };
  const hiresFix = hiresFixOf(fields);
  if (hiresFix) options.hiresFix = hiresFix;
  const upscale = upscaleOfFields(fields);
  if (upscale) options.upscale = upscale;
  const read: readonly string[] = [...(hiresFix ? HIRES_FIELDS : []), ...(upscale ? UPSCALE_FIELDS : [])];
  for (const [name, value] of Object.entries(fields)) {
    if (read.includes(name)) continue;
    const own = isOurs && Object.hasOwn(OWN_READERS, name) ? OWN_READERS[name] : undefined;
    const reader = Object.hasOwn(READERS, name) ? READERS[name] : own;
    if (reader) Object.assign(options, reader(value, name));
    else if (isOurs && !ABOUT.includes(name) && !FILES.includes(name)) {
      throw new DeepCacheError(
        'ERR_DEEPCACHE_UNSUPPORTED',
        `the settings of a picture have ${JSON.stringify(name)}, which cannot be repeated from a picture alone`,
      );
    } else if (!ABOUT.includes(name)) ignored.push(name);
  }
  if (isOurs && prompt === '(encoded prompt)') {
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', 'the picture was made from an encoded prompt');
  }
  // They are the steps themselves.
  if (options.timesteps !== undefined || options.sigmas !== undefined) delete options.steps;
  const position = Number(fields['Batch position'] ?? 0);
  const made = isOurs ? tidied(options, fields) : options;
  return { options: made, ignored, position: Number.isInteger(position) && position >= 0 ? position : 0 };
}

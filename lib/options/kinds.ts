import { type CacheOptions, requireCacheOptions } from '../deepcache/settings.js';
import { invalidArgument } from '../errors.js';
import { checkImageInput, type ImageInput } from '../images/input.js';
import { show } from '../messages.js';
import { type Seed, toSeed } from '../pipelines/inputs/seeds.js';
import type { Scheduler, SchedulerConfig, SchedulerName } from '../schedulers/index.js';
import type { Tensor } from '../tensor.js';
import { cacheForm } from './cache-form.js';
import * as checks from './checks.js';
import { type FreeNoiseOptions, toFreeNoise } from './free-noise.js';
import * as json from './json.js';
import { type Argument, type Kind, kind } from './kind.js';
import type { Limits } from './limits.js';
import { toTiling, type VaeTilingOptions } from './tiling.js';

export type { Argument, Kind } from './kind.js';

export const whole = (min: number, max: number, argument: Argument = 'whole'): Kind<number> =>
  kind(`whole number, ${min} to ${max}`, argument, json.whole(min, max), (name, value) => {
    checks.whole(name, value, min, min, max);
  });

/** Steps, calls, images: the library's limit is their only one. */
export const count = (max: number): Kind<number> => whole(1, max);

export const real = (min: number, max: number): Kind<number> =>
  kind(`number, ${min} to ${max}`, 'number', json.real(min, max), (name, value) => {
    checks.real(name, value, min, min, max);
  });

/** Between 0 and 1, neither of them included. */
export const fraction: Kind<number> = kind(
  'number between 0 and 1',
  'number',
  json.real(0, 1),
  (name, value) => {
    if (checks.real(name, value, 0, 0, 1) > 0 && (value as number) < 1) return;
    throw invalidArgument(name, `must be a number between 0 and 1, got ${show(value)}`);
  },
);

export const flag: Kind<boolean> = kind('true or false', 'switch', json.flag, (name, value) => {
  checks.flag(name, value);
});

/** Of a side of a picture that is made. */
export const MOST_PIXELS = 16384;

const side = json.whole(1, MOST_PIXELS);
export const pixels: Kind<number> = kind(
  'whole number',
  'whole',
  side,
  (name, value, { scale, multiple }) => {
    const step = multiple ?? scale ?? 1;
    const number = checks.whole(name, value, step, scale ?? 1, MOST_PIXELS);
    if (number % step === 0) return;
    const near = Math.max(step, Math.round(number / step) * step);
    throw invalidArgument(name, `must be a multiple of ${step}, got ${number}; the next is ${near}`);
  },
);

const layers = json.whole(0, 1000);
export const clipSkip: Kind<number> = kind('whole number', 'whole', layers, (name, value, limits) => {
  const { textLayers = 1000 } = limits;
  checks.whole(name, value, 0, 0, textLayers - 1);
});

export const texts: Kind<string | readonly string[]> = kind(
  'text, or a list',
  'texts',
  json.texts,
  (name, value) => {
    checks.texts(name, value);
  },
);

export const choice = <const T extends string>(
  values: readonly T[],
  argument: Argument = 'text',
): Kind<T> => {
  const quoted = values.map((value) => `'${value}'`);
  const list = `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
  return kind(list, argument, json.choice(values), (name, value) => {
    if (values.includes(value as T)) return;
    throw invalidArgument(name, `must be ${list}, got ${show(value)}`);
  });
};

const ofTensor = (type: string, axesOf: (limits: Limits) => readonly string[]): Kind<Tensor> => ({
  ...kind<Tensor>(type, 'tensor', undefined, (name, value, limits) => {
    const axes = axesOf(limits);
    const any = axes.map(() => null);
    checks.requireTensor(name, value as Tensor, any, axes);
  }),
  async checkAll(name, value, signal) {
    await checks.checkTensor(name, value, value.shape, signal);
  },
});

/** @param shape for messages; extents that only the run knows are checked there. */
export const tensor = (...shape: readonly string[]): Kind<Tensor> =>
  ofTensor(`tensor [${shape.join(', ')}]`, () => shape);

/** Noise, whose axes differ between families; the run knows their extents. */
export const latents: Kind<Tensor> = ofTensor(
  'tensor [images, channels, h, w]',
  ({ latentAxes = ['images', 'channels', 'height', 'width'] }) => latentAxes,
);

export const numbers: Kind<readonly number[]> = kind(
  'list of numbers',
  'numbers',
  json.list(json.real()),
  (name, value) => {
    if (!Array.isArray(value) || value.length === 0) {
      throw invalidArgument(name, `must be a list of at least one number, got ${show(value)}`);
    }
    for (const [i, item] of value.entries()) {
      if (Number.isFinite(item)) continue;
      throw invalidArgument(`${name}[${i}]`, `must be a number, got ${show(item)}`);
    }
  },
);

export const realNumbers = (min: number, max: number): Kind<readonly number[]> =>
  kind(
    `list of numbers, ${min} to ${max}`,
    'numbers',
    json.list(json.real(min, max)),
    (name, value, limits) => {
      numbers.check(name, value, limits);
      for (const [i, item] of (value as number[]).entries())
        checks.real(`${name}[${i}]`, item, min, min, max);
    },
  );

/** Timesteps or sigmas of one's own, or those of Align Your Steps for the model. */
export type OwnSteps = readonly number[] | 'AYS';

const stepForm = { anyOf: [json.list(json.real()), json.choice(['AYS'])] };
export const ownSteps: Kind<OwnSteps> = kind(
  "list of numbers, or 'AYS'",
  'steps',
  stepForm,
  (name, value, limits) => {
    if (value !== 'AYS') numbers.check(name, value, limits);
  },
);

/** Height and width, or top and left, in pixels: diffusers' order. */
export type Pair = readonly [number, number];

const pairForm = { type: 'array', items: json.real(0), minItems: 2, maxItems: 2 };
export const pair: Kind<Pair> = kind('[height, width] or [top, left]', undefined, pairForm, (name, value) => {
  const fits = Array.isArray(value) && value.length === 2 && value.every((v) => Number.isFinite(v) && v >= 0);
  if (fits) return;
  const what = 'must be two numbers from 0, [height, width] or [top, left]';
  throw invalidArgument(name, `${what}, got ${show(value)}`);
});

export const seed: Kind<Seed> = kind('whole number of 64 bits', 'seed', json.seed, (name, value) => {
  toSeed(name, value);
});

/** How many there must be depends on the run. */
export const seeds: Kind<readonly Seed[]> = kind(
  'list of seeds',
  'seeds',
  json.list(json.seed),
  (name, value) => {
    if (!Array.isArray(value) || value.length === 0) {
      throw invalidArgument(name, `must be a list of seeds, one for each image, got ${show(value)}`);
    }
    for (const [i, item] of value.entries()) toSeed(`${name}[${i}]`, item);
  },
);

export const labels: Kind<number | readonly number[]> = kind(
  'class, or a list',
  'wholes',
  json.oneOrList(json.whole(0), 512),
  (name, value, { classes = 2 ** 31 }) => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const last = classes - 1;
    const fits = (label: unknown) => Number.isInteger(label) && Number(label) >= 0 && Number(label) <= last;
    if (list.length > 0 && list.every(fits)) return;
    throw invalidArgument(name, `must be classes from 0 to ${last}, got ${show(value)}`);
  },
);

/** @param channels of a tensor that stands for pictures, where the family does not say it. */
export const picture = (channels: readonly number[]): Kind<ImageInput> =>
  kind('picture, or a list', 'text', json.picture, (name, value, { imageChannels = channels }) => {
    checkImageInput(name, value, name === 'image' ? imageChannels : channels);
  });

/** Its fields depend on the run and the U-Net: they are checked with the plan of the run. */
export const cache: Kind<CacheOptions> = kind(
  'false, a preset or settings',
  'cache',
  cacheForm,
  requireCacheOptions,
);

/** What it says is checked where it is made, against the model's own. */
export const scheduler: Kind<SchedulerName | SchedulerConfig | Scheduler> = kind(
  'name, configuration or scheduler',
  'scheduler',
  json.name,
  (name, value) => {
    if (typeof value === 'string' && value !== '') return;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
    throw invalidArgument(name, `must be a name, a configuration or a scheduler, got ${show(value)}`);
  },
);

/** Checked against the sampler with the plan of the run. */
export const settings = <T extends object>(type: string, form?: json.JsonForm): Kind<T> =>
  kind(type, 'settings', form, (name, value) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
    throw invalidArgument(name, `must be an object, got ${show(value)}`);
  });

export const tiling: Kind<boolean | VaeTilingOptions> = kind(
  'true, false or { tileSize, overlap }',
  'tiling',
  { anyOf: [json.flag, json.object({ tileSize: side, overlap: json.whole(0, MOST_PIXELS) })] },
  (_, value, { tileSize = 512, scale = 8 }) => {
    toTiling(value, { tileSize, scale });
  },
);

/** Its lengths are checked against the model and the video with the run. */
export const freeNoise: Kind<boolean | FreeNoiseOptions> = kind(
  'true, false or { contextLength, contextStride, weightingScheme, noiseType }',
  'freeNoise',
  undefined,
  (_, value) => {
    toFreeNoise(value, {});
  },
);

// biome-ignore lint/suspicious/noExplicitAny: what they are called with is the option's affair
export const callback = <T extends (...values: any[]) => unknown>(): Kind<T> =>
  kind('function', undefined, undefined, checks.callable);

export const signal: Kind<AbortSignal> = kind('AbortSignal', undefined, undefined, (_, value) => {
  checks.checkSignal(value);
});

export const fileNamePart: Kind<string> = kind('part of a file name', 'text', undefined, (name, value) => {
  if (typeof value === 'string' && /^[\w-]+$/.test(value)) return;
  throw invalidArgument(name, `must be part of a file name, such as 'fp16', got ${show(value)}`);
});

/** What is there is looked at when it is read. */
export const path: Kind<string> = kind('path', 'text', undefined, (name, value) => {
  if (typeof value === 'string' && value !== '') return;
  throw invalidArgument(name, `must be a path, got ${show(value)}`);
});

/** A kind with a check of its own. */
export const own = <T>(
  type: string,
  argument: Argument,
  check: (name: string, value: unknown) => void,
  form?: json.JsonForm,
): Kind<T> => kind(type, argument, form, check);

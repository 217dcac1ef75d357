import { invalidArgument } from '../../errors.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import type { NetworkNames } from './network-names.js';

/** The most that a request may ask for. */
export interface Limits {
  /** Pixels of a picture that is made: width times height, after `hiresFix`. Default 4,194,304 (2048 x 2048). */
  pixels: number;
  /** Steps of a run. Default 150. */
  steps: number;
  /** Pictures of a request. Default 8. */
  images: number;
  /** Characters of a prompt. Default 20,000. */
  prompt: number;
  /** Bytes of a request's body. Default 32 MiB. */
  body: number;
  /** Pixels of a picture that is sent. Default 16,777,216 (4096 x 4096). */
  inputPixels: number;
  /** Bytes of the pictures in requests that wait or run, of all callers. Default 512 MiB. */
  pendingBytes: number;
  /** Connections at the same time. Default 2000. */
  connections: number;
  /** Seconds that a request may take to arrive, and an answer to be taken. Default 60. */
  seconds: number;
}

const DEFAULTS: Limits = {
  pixels: 2048 * 2048,
  steps: 150,
  images: 8,
  prompt: 20_000,
  body: 32 * 2 ** 20,
  inputPixels: 4096 * 4096,
  pendingBytes: 512 * 2 ** 20,
  connections: 2000,
  seconds: 60,
};

export const LIMIT_NAMES = Object.keys(DEFAULTS) as (keyof Limits)[];

/**
 * Limits with their defaults.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the limit.
 */
export function resolveLimits(
  given: Partial<Limits> = {},
  base: Limits = DEFAULTS,
  option = 'limits',
): Limits {
  checkNames(given, LIMIT_NAMES, `${option}.`);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) continue;
    throw invalidArgument(`${option}.${name}`, `must be a whole number of at least 1, got ${show(value)}`);
  }
  return { ...base, ...given };
}

/** What a run's options say about its size, whatever API they came by. */
interface Sized {
  readonly width?: number;
  readonly height?: number;
  readonly steps?: number;
  readonly timesteps?: unknown;
  readonly sigmas?: unknown;
  readonly prompt?: unknown;
  readonly classLabels?: unknown;
  readonly numImages?: number;
  readonly batchSize?: number;
  readonly seeds?: readonly unknown[];
  readonly hiresFix?: { readonly scale?: number; readonly steps?: number };
  readonly upscale?:
    | string
    | {
        readonly upscaler: string;
        readonly scale?: number;
        readonly width?: number;
        readonly height?: number;
      };
}

/** The enlargement of a second pass that says nothing else. */
const HIRES_SCALE = 2;
/** That of a network that is not known. */
const UPSCALE = 4;

const countOf = (value: unknown) => (Array.isArray(value) ? value.length : 1);

/**
 * Throws for a run that is larger than allowed; all else about its options is the pipeline's business.
 *
 * @param names of networks, for how much they enlarge.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option and the limit.
 */
export function checkSizes(options: object, limits: Limits, names: NetworkNames = {}): void {
  const { steps, timesteps, sigmas, prompt, classLabels, numImages = 1, seeds, hiresFix } = options as Sized;
  const { width, height, upscale, batchSize } = options as Sized;
  const most = (name: string, value: number | undefined, limit: number, what: string) => {
    if (value !== undefined && value > limit)
      throw invalidArgument(name, `is ${value}; this server allows at most ${limit} ${what}`);
  };
  most('steps', steps, limits.steps, 'steps');
  for (const [name, list] of Object.entries({ timesteps, sigmas }))
    if (Array.isArray(list)) most(`${name}.length`, list.length, limits.steps, 'steps');
  most('hiresFix.steps', hiresFix?.steps, limits.steps, 'steps');
  most('numImages', numImages, limits.images, 'pictures in a request');
  most('batchSize', batchSize, limits.images, 'pictures in a request');
  most('seeds', seeds?.length, limits.images, 'pictures in a request');
  for (const [name, value] of Object.entries({ prompt, classLabels })) {
    const pictures = countOf(value) * numImages;
    if (pictures > limits.images)
      throw invalidArgument(
        name,
        `makes ${pictures} pictures; this server allows at most ${limits.images} in a request`,
      );
  }
  const scale = hiresFix ? (hiresFix.scale ?? HIRES_SCALE) : 1;
  const enlarged = upscale === undefined ? 1 : upscaleOf(upscale, names);
  const made = (width ?? 1) * (height ?? 1) * scale ** 2;
  const pixels = typeof enlarged === 'number' ? made * enlarged ** 2 : Math.max(made, enlarged.pixels);
  if (!(pixels <= limits.pixels)) {
    const times = [
      ...(scale === 1 ? [] : [scale]),
      ...(typeof enlarged === 'number' && enlarged !== 1 ? [enlarged] : []),
    ];
    const size = `${width ?? '?'}x${height ?? '?'}${times.map((one) => `, enlarged ${one} times,`).join('')}`;
    throw invalidArgument(
      'width',
      `and height make ${size} pixels; this server allows at most ${limits.pixels}`,
    );
  }
}

/** How many times larger pictures become, or the pixels that they have then. */
function upscaleOf(
  upscale: NonNullable<Sized['upscale']>,
  { upscalers = [] }: NetworkNames,
): number | { readonly pixels: number } {
  const { upscaler, scale, width, height } =
    typeof upscale === 'string'
      ? { upscaler: upscale }
      : (upscale as Exclude<Sized['upscale'], string | undefined>);
  if (width !== undefined && height !== undefined) return { pixels: width * height };
  return scale ?? upscalers.find(({ name }) => name === upscaler)?.scale ?? UPSCALE;
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a text that is too long. */
export function checkPrompt(
  name: string,
  given: string | readonly string[] | undefined,
  limits: Limits,
): void {
  for (const text of given === undefined ? [] : [given].flat())
    if (text.length > limits.prompt)
      throw invalidArgument(
        name,
        `has ${text.length} characters; this server allows at most ${limits.prompt}`,
      );
}

import { invalidArgument } from '../../../errors.js';
import type { RawImage } from '../../../images/input.js';
import { taskOf } from '../../engine/job.js';
import type { JobRequest } from '../engine.js';
import { checkPrompt, checkSizes, type Limits } from '../limits.js';
import { checkPicture, pictureOfText } from '../pictures.js';

/** A run in the words of `generate`, before its pictures were looked at. */
export interface Wanted {
  readonly model: string;
  /** Without pictures. */
  readonly options: Readonly<Record<string, unknown>>;
  /** A file's bytes, or a text that holds them. */
  readonly image?: string | Uint8Array | undefined;
  readonly mask?: string | Uint8Array | RawImage | undefined;
  readonly priority?: number | undefined;
  readonly deadline?: Date | undefined;
  readonly previewEvery?: number | undefined;
}

const PROMPTS = ['prompt', 'negativePrompt', 'prompt2', 'negativePrompt2'];

/** A request for the engine, and the bytes of the pictures in it. */
export interface Ready {
  readonly request: Omit<JobRequest, 'client'>;
  readonly bytes: number;
}

/**
 * Makes a request for the engine: all APIs come through here. It is within the limits, and its pictures can be read.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, ERR_DEEPCACHE_IMAGE
 */
export async function toRequest(wanted: Wanted, limits: Limits, signal?: AbortSignal): Promise<Ready> {
  const { model, options, priority, deadline, previewEvery } = wanted;
  for (const name of PROMPTS) checkPrompt(name, options[name] as string | undefined, limits);
  checkSizes(options, limits);
  const image = await picture('image', wanted.image, limits, signal);
  const mask = await picture('maskImage', wanted.mask, limits, signal);
  if (mask && !image) throw invalidArgument('maskImage', 'needs an image');
  // Without a size of its own the result has the picture's.
  if (image) checkSizes({ width: image.width, height: image.height, ...options }, limits);
  const bytes = (image?.bytes ?? 0) + (mask?.bytes ?? 0);
  const whole = {
    ...seedsOf(options),
    ...(image && { image: image.source }),
    ...(mask && { maskImage: mask.source }),
  };
  return {
    bytes,
    request: {
      model,
      task: taskOf(whole),
      options: whole,
      ...(priority !== undefined && { priority }),
      ...(deadline !== undefined && { deadline }),
      ...(previewEvery !== undefined && { previewEvery }),
    },
  };
}

async function picture(
  name: string,
  given: string | Uint8Array | RawImage | undefined,
  limits: Limits,
  signal: AbortSignal | undefined,
) {
  if (given === undefined) return undefined;
  if (typeof given === 'object' && 'channels' in given)
    return { source: given, width: given.width, height: given.height, bytes: given.data.byteLength };
  const source = typeof given === 'string' ? await pictureOfText(name, given, signal) : given;
  const { width, height } = await checkPicture(name, source, limits, signal);
  return { source, width, height, bytes: source.byteLength };
}

/** JSON has no whole numbers of 64 bits: they come as texts. */
function seedsOf(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { seed, seeds, hiresFix, ...rest } = options;
  const one = (value: unknown) => (typeof value === 'string' ? BigInt(value) : value);
  const second = hiresFix as { seed?: unknown } | undefined;
  return {
    ...rest,
    ...(seed !== undefined && { seed: one(seed) }),
    ...(Array.isArray(seeds) && { seeds: seeds.map(one) }),
    ...(second && { hiresFix: second.seed === undefined ? second : { ...second, seed: one(second.seed) } }),
  };
}

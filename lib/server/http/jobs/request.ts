import { invalidArgument } from '../../../errors.js';
import type { RawImage } from '../../../images/input.js';
import { taskOf } from '../../engine/job.js';
import type { JobNetworks } from '../../engine/networks.js';
import type { JobRequest } from '../engine.js';
import { checkPrompt, checkSizes, type Limits } from '../limits.js';
import { checkNetworkNames, checkUpscalers, type NetworkNames } from '../network-names.js';
import { checkPicture, pictureOfText } from '../pictures.js';
import { fromJson, PICTURES } from './run-fields.js';

/** A run in the words of `generate`, before its pictures were looked at. */
export interface Wanted {
  readonly model: string;
  /** Pictures as the bytes of their files, or texts that hold them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** A file's bytes, or a text that holds them. */
  readonly image?: string | Uint8Array | undefined;
  readonly mask?: string | Uint8Array | RawImage | undefined;
  /** Networks that it names. */
  readonly networks?: JobNetworks | undefined;
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
 * Makes a request for the engine: all APIs come through here. It is within the limits, its pictures can be read, and what
 * it names is there.
 *
 * @param names of networks that requests for the model may name.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, ERR_DEEPCACHE_IMAGE
 */
export async function toRequest(
  wanted: Wanted,
  limits: Limits,
  names: NetworkNames = {},
  signal?: AbortSignal,
): Promise<Ready> {
  const { model, options, image, mask, networks, priority, deadline, previewEvery } = wanted;
  for (const name of PROMPTS)
    checkPrompt(name, options[name] as string | readonly string[] | undefined, limits);
  checkUpscalers(options, names);
  if (networks) checkNetworkNames(networks, names);
  checkSizes(options, limits, names);
  const given = {
    ...options,
    ...(image !== undefined && { image }),
    ...(mask !== undefined && { maskImage: mask }),
  };
  const whole: Record<string, unknown> = {};
  const read = new ReadPictures(limits, signal);
  for (const [name, value] of Object.entries(given)) {
    whole[name] = PICTURES.has(name) ? await read.all(name, value as Given) : fromJson(name, value);
  }
  if (whole.maskImage !== undefined && whole.image === undefined)
    throw invalidArgument('maskImage', 'needs an image');
  // Without a size of its own the result has that of a picture.
  const size = SIZED.map((name) => read.sizes.get(name)).find((one) => one !== undefined);
  if (size) checkSizes({ ...size, ...options }, limits, names);
  return {
    bytes: read.bytes,
    request: {
      model,
      task: taskOf(whole),
      options: whole,
      ...(networks && { networks }),
      ...(priority !== undefined && { priority }),
      ...(deadline !== undefined && { deadline }),
      ...(previewEvery !== undefined && { previewEvery }),
    },
  };
}

/** Pictures whose size a run has where it says none, in this order. */
const SIZED = ['image', 'controlImage', 't2iAdapterImage'];

type One = string | Uint8Array | RawImage;
type Given = One | readonly Given[];

/** The pictures of a request as they are read, one after the other. */
class ReadPictures {
  bytes = 0;
  /** Of the first picture of each option. */
  readonly sizes = new Map<string, { readonly width: number; readonly height: number }>();

  constructor(
    private readonly limits: Limits,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async all(name: string, given: Given): Promise<unknown> {
    if (!Array.isArray(given)) return this.#one(name, given as One);
    const list: unknown[] = [];
    for (const one of given) list.push(await this.all(name, one));
    return list;
  }

  async #one(name: string, given: One): Promise<Uint8Array | RawImage> {
    const isRaw = typeof given === 'object' && 'channels' in given;
    const source = typeof given === 'string' ? await pictureOfText(name, given, this.signal) : given;
    const { width, height } = isRaw
      ? given
      : await checkPicture(name, source as Uint8Array, this.limits, this.signal);
    if (!this.sizes.has(name)) this.sizes.set(name, { width, height });
    this.bytes += isRaw ? given.data.byteLength : (source as Uint8Array).byteLength;
    return source;
  }
}

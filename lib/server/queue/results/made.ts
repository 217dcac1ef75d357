import { DeepCacheError, type DeepCacheErrorCode, ERROR_CODES } from '../../../errors.js';
import { Image } from '../../../images/image.js';
import { jsonSeeds } from '../../../pipelines/inputs/seeds.js';
import type { ImageResult } from '../../../pipelines/outputs/result.js';
import { RequestError } from '../../http/errors.js';
import type { Made, MadePicture } from '../../http/jobs/desk.js';
import { encode } from '../../http/pictures.js';
import { isName, newName, type ResultStore } from './result-store.js';

// What a job made, on its way through the queue: the files of its pictures go into a store, all else is a text of JSON.

/** A result that was stored. */
export interface Stored {
  readonly text: string;
  readonly names: readonly string[];
  /** Of the pictures, as far as they count. */
  readonly bytes: number;
}

/** Stores pictures under names that nobody knows yet. */
export async function storeResult(
  store: ResultStore,
  { images, settings, seeds, notes, stats }: ImageResult,
  milliseconds: number,
): Promise<Stored> {
  const pictures: { name: string; width: number; height: number }[] = [];
  let bytes = 0;
  for (const image of images) {
    const name = newName();
    const file = await image.toBuffer('png');
    await store.put(name, file, milliseconds);
    bytes += file.byteLength;
    pictures.push({ name, width: image.width, height: image.height });
  }
  const { times, speedup } = stats;
  return {
    text: JSON.stringify({ pictures, settings, seeds: jsonSeeds(seeds), notes, times, speedup }),
    names: pictures.map(({ name }) => name),
    bytes: store.isLimited ? bytes : 0,
  };
}

/** The names of the pictures of a result; none for what is no result. */
export function namesIn(text: string): string[] {
  try {
    const { pictures } = JSON.parse(text) as { pictures?: unknown };
    if (!Array.isArray(pictures)) return [];
    return pictures.map((one) => (one as { name?: unknown } | null)?.name).filter(isName);
  } catch {
    return [];
  }
}

/** A result as routes know it; pictures are fetched when they are asked for. */
export function readMade(text: string, store: Pick<ResultStore, 'get'>): Made {
  const value = JSON.parse(text) as Record<string, unknown>;
  const list = (name: string) => (Array.isArray(value[name]) ? (value[name] as unknown[]) : []);
  const texts = (name: string) => list(name).filter((one) => typeof one === 'string');
  const times = Object.entries((value.times ?? {}) as object).filter(([, one]) => Number.isFinite(one));
  return {
    pictures: list('pictures').flatMap((one) => {
      const { name, width, height } = (one ?? {}) as Record<string, unknown>;
      if (!isName(name) || typeof width !== 'number' || typeof height !== 'number') return [];
      return [pictureOf(store, name, width, height)];
    }),
    settings: texts('settings'),
    seeds: list('seeds').map((seed) => (typeof seed === 'string' ? BigInt(seed) : Number(seed))),
    notes: texts('notes'),
    times: Object.fromEntries(times),
    speedup: Number(value.speedup),
  };
}

function pictureOf(
  store: Pick<ResultStore, 'get'>,
  name: string,
  width: number,
  height: number,
): MadePicture {
  return {
    ...{ width, height },
    file: async (format, options = {}) => {
      const bytes = await store.get(name);
      if (!bytes) throw new RequestError(404, 'not_found', 'the picture was forgotten');
      // As it was stored, unless it is wanted otherwise.
      if (format === 'png' && options.metadata !== false) return bytes;
      return encode(await Image.open(new Uint8Array(bytes)), format, options);
    },
  };
}

/** What went wrong, as a text. */
export function packError(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const known = typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
  return JSON.stringify({ ...(known && { code }), message: String(message ?? error) });
}

export function readError(text: string): Error {
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown };
    const words = typeof message === 'string' ? message : 'the job failed';
    if (typeof code !== 'string' || !Object.hasOwn(ERROR_CODES, code)) return new Error(words);
    return new DeepCacheError(code as DeepCacheErrorCode, words);
  } catch {
    return new Error('the job failed');
  }
}

import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { untilAborted } from '../aborting.js';
import { type DeepCacheError, invalidConfig, messageOf } from '../errors.js';
import { shorten } from '../messages.js';

/** Most bytes of a file by its kind: well above what real ones have, and little enough to be read at once. */
export const LIMITS = {
  /** Configurations of all kinds; the largest of real models have a few ten kB. */
  config: 2 ** 20,
  /** Lists of a model's tensors, by shard. */
  index: 2 ** 24,
  /** Vocabularies and merges; CLIP's have 1 MB. */
  vocabulary: 2 ** 22,
  /** tokenizer.json: a vocabulary, its merges and more; CLIP's has 3.6 MB. */
  tokenizer: 2 ** 23,
  /** Textual inversions; the largest have a few hundred kB. */
  embedding: 2 ** 26,
  /** Prompts, one per line. */
  prompts: 2 ** 24,
  /** Captions of pictures; those of COCO's 118,287 for training have 92 MB. */
  captions: 2 ** 27,
  /** Pictures of any format; one of 8192x8192 that cannot be compressed has 192 MiB. */
  picture: 2 ** 28,
} as const;

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** Makes the error of what is wrong; ERR_DEEPCACHE_INVALID_CONFIG by default. */
  fail?: (path: string, message: string, options?: ErrorOptions) => DeepCacheError;
}

// A pipe or a device would otherwise hold one of the few threads that do all file work until somebody writes to it.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * The bytes of a regular file. Its size is looked at before anything is read, and again while reading.
 *
 * @param max bytes, see {@link LIMITS}.
 * @throws DeepCacheError naming the file when it is missing, no regular file, or larger; the signal's reason at once.
 */
export async function readSmallFile(path: string, max: number, options: ReadOptions = {}): Promise<Buffer> {
  options.signal?.throwIfAborted();
  return untilAborted(readBounded(path, max, options), options.signal);
}

/** The same for what must be known before the next line: options of a command. */
export function readSmallFileSync(path: string, max: number, options: ReadOptions = {}): Buffer {
  return coded(path, options, () => {
    const file = openSync(path, FLAGS);
    try {
      const parts = new Parts(fstatSync(file), max);
      let count = -1;
      while (count !== 0) {
        const part = parts.next();
        count = readSync(file, part, 0, part.length, null);
        parts.add(count);
      }
      return parts.bytes();
    } finally {
      closeSync(file);
    }
  });
}

/** Whether an error of {@link readSmallFile} says that there is no such file. */
export function isMissing(error: unknown): boolean {
  const { cause, code } = (error ?? {}) as { cause?: { code?: unknown }; code?: unknown };
  return code === 'ENOENT' || cause?.code === 'ENOENT';
}

/** What is at a path, undefined where there is nothing. Errors are those of {@link readSmallFile}. */
export function statOf(path: string, options: ReadOptions = {}): Stats | undefined {
  return coded(path, options, () => statSync(path, { throwIfNoEntry: false }));
}

/** What cannot be looked at, such as a link that leads to itself, is no folder. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

async function readBounded(path: string, max: number, options: ReadOptions): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, FLAGS);
    const parts = new Parts(await file.stat(), max);
    let count = -1;
    while (count !== 0 && !options.signal?.aborted) {
      // With all arguments: the file handles of Yarn PnP read nothing without a length.
      const part = parts.next();
      count = (await file.read(part, 0, part.length, null)).bytesRead;
      parts.add(count);
    }
    return parts.bytes();
  } catch (cause) {
    return coded(path, options, () => {
      throw cause;
    });
  } finally {
    await file?.close();
  }
}

/** A reason in words, which needs no further explanation by the system's. */
class Unfit extends Error {}

/** What was read of a file so far. A file may grow meanwhile, and some say that they are empty and are not. */
class Parts {
  readonly #max: number;
  readonly #parts: Buffer[] = [];
  #current: Buffer;
  #total = 0;

  constructor(stats: Stats, max: number) {
    if (!stats.isFile()) throw new Unfit(`is ${kindOf(stats)}, not a file`);
    this.#max = max;
    this.#check(stats.size);
    this.#current = Buffer.allocUnsafe(stats.size + 1);
  }

  /** Where the next bytes go. */
  next(): Buffer {
    if (this.#current.length === 0) this.#current = Buffer.allocUnsafe(2 ** 16);
    return this.#current;
  }

  add(count: number): void {
    this.#parts.push(this.#current.subarray(0, count));
    this.#current = this.#current.subarray(count);
    this.#total += count;
    this.#check(this.#total);
  }

  bytes(): Buffer {
    const [first] = this.#parts;
    return first && first.length === this.#total ? first : Buffer.concat(this.#parts);
  }

  #check(size: number): void {
    if (size > this.#max) throw new Unfit(`has ${size} bytes; at most ${this.#max} are read`);
  }
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

function coded<T>(path: string, { fail = invalidConfig }: ReadOptions, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof Unfit) throw fail(shorten(path), cause.message);
    throw fail(shorten(path), `cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

/** What the system says, without the call and the path that it puts behind it. */
function reasonOf(error: unknown): string {
  const { syscall } = error as NodeJS.ErrnoException;
  return syscall ? (messageOf(error).split(`, ${syscall}`, 1)[0] as string) : messageOf(error);
}

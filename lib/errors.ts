import { types } from 'node:util';
import { shorten } from './messages.js';
import { printable } from './printable.js';

/** The codes of all errors of this package, and what they mean. */
export const ERROR_CODES = {
  ERR_DEEPCACHE_INVALID_ARGUMENT: 'An option or argument of the wrong type or value; the message names it.',
  ERR_DEEPCACHE_INVALID_CONFIG: 'A configuration file that is missing, unreadable or contradicts itself.',
  ERR_DEEPCACHE_INVALID_WEIGHTS:
    'A weight file that is missing, truncated, inconsistent or does not fit the configuration.',
  ERR_DEEPCACHE_UNSUPPORTED: 'Something known that this version does not implement.',
  ERR_DEEPCACHE_OUT_OF_MEMORY:
    'More memory would be needed than the machine or its cgroup has, or an allocation failed.',
  ERR_DEEPCACHE_BACKEND_UNAVAILABLE: 'The device asked for cannot be used; the message says why.',
  ERR_DEEPCACHE_BUSY: 'As many calls of a pipeline wait or run as its maxPending allows.',
  ERR_DEEPCACHE_NOT_FINITE:
    'A model made values that are not numbers, or infinite; the message names it and the layer where they appear.',
  ERR_DEEPCACHE_ABORTED: 'Stopped on request, where the caller gave no reason of its own.',
  ERR_DEEPCACHE_WORKER_LOST:
    'A job of a queue was begun as often as it may, and each time its worker died or was cut off.',
  ERR_DEEPCACHE_DISPOSED: 'An object was used after its dispose().',
  ERR_DEEPCACHE_NO_BINARY: 'No native binary loads on this machine.',
  ERR_DEEPCACHE_IMAGE: 'A picture cannot be read, made or written.',
  ERR_DEEPCACHE_DOWNLOAD: 'A model of the Hugging Face Hub cannot be had; the message says why.',
  ERR_DEEPCACHE_OUTPUT: 'A place to write to cannot be used; the message names it.',
  ERR_DEEPCACHE_INTERNAL: 'A bug of this package.',
} as const;

/** Stable codes: match on these, never on messages. */
export type DeepCacheErrorCode = keyof typeof ERROR_CODES;

/** What is quoted in messages may come from anywhere, and be of any length. */
const LONGEST_MESSAGE = 2000;

/** Every error that this package throws on purpose; native code makes it with the same class. */
export class DeepCacheError extends Error {
  override readonly name = 'DeepCacheError';
  readonly code: DeepCacheErrorCode;

  constructor(code: DeepCacheErrorCode, message: string, options?: ErrorOptions) {
    // It may hold names out of foreign files, and who does not catch it has it on the terminal.
    super(printable(shorten(message, LONGEST_MESSAGE)), options);
    this.code = code;
  }

  /** What a server may send: errors have no message in JSON otherwise. */
  toJSON(): { name: string; code: DeepCacheErrorCode; message: string } {
    return { name: this.name, code: this.code, message: this.message };
  }
}

/** The error for a bad option or argument: `name` as the caller wrote it, then what is wrong with it. */
export function invalidArgument(name: string, message: string, options?: ErrorOptions): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', `${name} ${message}`, options);
}

/** The error for a configuration file: its path, then what is wrong with it. */
export function invalidConfig(file: string, message: string, options?: ErrorOptions): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_INVALID_CONFIG', `${file}: ${message}`, options);
}

/** The error for a file of weights: its path, then what is wrong with it. */
export function invalidWeights(file: string, message: string, options?: ErrorOptions): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_INVALID_WEIGHTS', `${file}: ${message}`, options);
}

/** What was thrown, an error of this package with whose it is before its message: a file, an option or a model. */
export function withOwner(owner: string, thrown: unknown): unknown {
  if (!(thrown instanceof DeepCacheError)) return thrown;
  return new DeepCacheError(thrown.code, `${owner}: ${thrown.message}`, { cause: thrown });
}

/** What an unknown thrown value says; not instanceof: it may be of another realm (vm contexts, Jest). */
export function messageOf(error: unknown): string {
  return types.isNativeError(error) ? error.message : String(error);
}

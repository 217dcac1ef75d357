import type { JsonForm } from './json.js';
import type { Limits } from './limits.js';

/** How the command line reads a value. */
export type Argument =
  | 'whole'
  | 'number'
  | 'count'
  | 'seed'
  | 'seeds'
  | 'wholes'
  | 'numbers'
  | 'steps'
  | 'text'
  | 'dtype'
  | 'texts'
  | 'oneOrTexts'
  | 'eachNumber'
  | 'eachWhole'
  | 'switch'
  | 'cache'
  | 'tiling'
  | 'freeNoise'
  | 'settings'
  | 'fields'
  | 'upscale'
  | 'scheduler'
  | 'tensor';

/** The values that an option takes. */
export interface Kind<T> {
  /** In words, for tables. */
  readonly type: string;
  readonly argument?: Argument;
  /** As JSON has them; absent: it has no form for them. */
  readonly json?: JsonForm;
  /** Throws ERR_DEEPCACHE_INVALID_ARGUMENT with the option's name; `undefined` is never asked about. */
  check(name: string, value: unknown, limits: Limits): void;
  /** Looks at all values of what is large, and takes its time; what is small was looked at before. */
  checkAll?(name: string, value: T, signal: AbortSignal | undefined): Promise<void>;
  /** For the type of the values; there is no such field. */
  readonly values?: T;
}

/** @param form that JSON has for the values. */
export const kind = <T>(
  type: string,
  argument: Argument | undefined,
  form: JsonForm | undefined,
  check: Kind<T>['check'],
): Kind<T> => ({ type, ...(argument && { argument }), ...(form && { json: form }), check });

import { existsSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { invalidArgument, messageOf } from '../errors.js';
import { parseJsonObject } from '../files/json.js';
import { LIMITS, readSmallFileSync } from '../files/read.js';
import { show } from '../messages.js';

// Parsers of option values for commander. What they throw becomes "option '--x' argument 'y' is invalid. ...".

export function toNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

export function toWhole(text: string): number {
  const value = toNumber(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

/** A whole number of at least 1. */
export function toCount(text: string): number {
  const value = toWhole(text);
  if (value < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

/** Seeds have 64 bits, more than a number holds. */
export function toSeed(text: string): bigint {
  if (!/^-?\d+$/.test(text.trim())) throw new InvalidArgumentError('It must be a whole number.');
  const value = BigInt(text);
  if (value < -(2n ** 63n) || value >= 2n ** 64n) throw new InvalidArgumentError('It must fit in 64 bits.');
  return value;
}

/** Values with commas between them. */
export function toList<T>(each: (text: string) => T): (text: string) => T[] {
  return (text) => text.split(',').map((item) => each(item.trim()));
}

/** The same; an option that is repeated goes on with them. */
export function toMore<T>(each: (text: string) => T): (text: string, previous: T[] | undefined) => T[] {
  const list = toList(each);
  return (text, previous) => [...(previous ?? []), ...list(text)];
}

/** Lists of whole numbers, one for each time that an option is given; "none" is an empty one. */
export function toLists(text: string, previous: number[][] | undefined): number[][] {
  return [...(previous ?? []), text.trim().toLowerCase() === 'none' ? [] : toList(toWhole)(text)];
}

/**
 * A file and what stands behind its equals sign. A file that is there comes first, whatever signs are in its name.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a text without either.
 */
export function fileAndRest(name: string, form: string, text: string): [file: string, rest: string] {
  const signs = [...text.matchAll(/=/g)].map(({ index }) => index);
  const at = signs.find((sign) => existsSync(text.slice(0, sign))) ?? signs[0] ?? text.length;
  const [file, rest] = [text.slice(0, at), text.slice(at + 1)];
  if (file === '' || rest === '') throw invalidArgument(name, `must be ${form}, got ${show(text)}`);
  return [file, rest];
}

/** Collects the values of an option that may be repeated. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

const DTYPES: Readonly<Record<string, readonly string[]>> = {
  fp32: ['fp32', 'f32', 'float32', 'float'],
  fp16: ['fp16', 'f16', 'float16', 'half'],
  bf16: ['bf16', 'bfloat16'],
  fp8: ['fp8', 'f8', 'float8', 'e4m3', 'float8_e4m3fn'],
};

/** A floating point type by any of its usual names, as one of `choices`. */
export function toDtype<const T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const name = text
      .trim()
      .toLowerCase()
      .replace(/^torch\./, '');
    const found = choices.find((choice) => choice === name || DTYPES[choice]?.includes(name));
    if (found) return found;
    throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.`);
  };
}

/** A JSON object, or the path of a file that holds one. */
export function toJsonObject(text: string): Record<string, unknown> {
  try {
    if (text.trimStart().startsWith('{')) return parseJsonObject('the text', text);
    return parseJsonObject(text, readSmallFileSync(text, LIMITS.config).toString('utf8'));
  } catch (error) {
    throw new InvalidArgumentError(`It is neither a JSON object nor a file with one: ${messageOf(error)}`);
  }
}

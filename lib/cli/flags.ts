import { existsSync } from 'node:fs';
import { Option as Flag, InvalidArgumentError } from 'commander';
import { invalidArgument } from '../errors.js';
import { FAMILIES, type Family, familyNames } from '../options/families.js';
import type { FreeNoiseOptions } from '../options/free-noise.js';
import type { Argument } from '../options/kinds.js';
import type { FlagGroup, Option } from '../options/option.js';
import { entries, type OptionName } from '../options/spec/index.js';
import { DTYPES } from '../options/spec/loading.js';
import { UI_NAMES } from '../schedulers/aliases.js';
import { schedulerNames } from '../schedulers/index.js';
import {
  collect,
  toCount,
  toDtype,
  toList,
  toLists,
  toMore,
  toNumber,
  toSeed,
  toWhole,
} from './arguments.js';
import { CACHE_HELP, toCacheOptions } from './cache-option.js';
import { readTensor } from './tensor-file.js';

// The options of the library as flags of the command line: names, parsers and help texts are the specification's.

/** How flags are read; what is left out is a text, or stands for true. */
const PARSERS: { readonly [Name in Argument]?: (text: string, previous: never) => unknown } = {
  whole: toWhole,
  number: toNumber,
  count: toCount,
  seed: toSeed,
  seeds: toList(toSeed),
  wholes: toList(toWhole),
  numbers: toList(toNumber),
  steps: (text: string) => (/^ays$/i.test(text) ? 'AYS' : toList(toNumber)(text)),
  texts: collect,
  oneOrTexts: collect,
  eachNumber: toMore(toNumber),
  eachWhole: toLists,
  dtype: toDtype(DTYPES),
  cache: toCacheOptions,
  tiling: toWhole,
  freeNoise: toList(toWhole),
  settings: toSettings,
  fields: toFields,
  upscale: (text: string) => (existsSync(text) || !text.includes('=') ? text : toFields(text)),
};

/** What the values of flags become in the library, where that is something else. */
const VALUES: { readonly [Name in Argument]?: (value: never) => unknown } = {
  tiling: (value: boolean | number) => (typeof value === 'number' ? { tileSize: value } : value),
  freeNoise: (value: boolean | readonly number[]) =>
    typeof value === 'boolean' ? value : freeNoiseOf(value),
  tensor: (path: string) => readTensor(path),
  eachWhole: (value: unknown) =>
    Array.isArray(value) && value.every(Array.isArray) ? modesOf(value) : value,
  oneOrTexts: (value: string | readonly string[]) =>
    Array.isArray(value) && value.length === 1 ? value[0] : value,
};

/** Help texts with lists in them that others make. */
const HELP: { readonly [Name in OptionName]?: () => string } = {
  cache: () => `DeepCache: ${CACHE_HELP}`,
  scheduler: () => {
    const names = schedulerNames().map((name) => name.replace(/Scheduler$/, ''));
    return `another sampler: ${names.join(', ')}; or as user interfaces call them: ${UI_NAMES.join(', ')}`;
  },
};

/** Of an option that was given once its numbers; else those of each time, as a list where they are not one. */
function modesOf(lists: readonly (readonly number[])[]): readonly (number | readonly number[])[] {
  return lists.length === 1
    ? (lists[0] as readonly number[])
    : lists.map((list) => (list.length === 1 ? Number(list[0]) : list));
}

function freeNoiseOf([contextLength, contextStride, ...others]: readonly number[]): FreeNoiseOptions {
  if (others.length > 0) throw invalidArgument('freeNoise', 'takes two numbers at most');
  return {
    ...(contextLength !== undefined && { contextLength }),
    ...(contextStride !== undefined && { contextStride }),
  };
}

interface Flagged {
  readonly name: OptionName;
  readonly option: Option;
  readonly flag: Flag;
  /** What commander calls it. */
  readonly attribute: string;
  readonly group: FlagGroup;
}

const FLAGGED: readonly Flagged[] = entries.flatMap(([name, option]) => {
  if (!option.flag) return [];
  const flag = new Flag(option.flag.spelling, helpOf(name, option));
  const parse = option.kind.argument && PARSERS[option.kind.argument];
  // commander hands over what the values before were parsed to.
  if (parse) flag.argParser(parse as (text: string, previous: unknown) => unknown);
  return [{ name, option, flag, attribute: flag.attributeName(), group: option.flag.group }];
});

/** What the library's options are called on the command line where that is another name. */
export const RENAMED: Readonly<Record<string, string>> = Object.fromEntries(
  FLAGGED.filter(({ name, attribute }) => name !== attribute).map(({ name, attribute }) => [name, attribute]),
);

/** What commander calls the flag of an option; a name that has none is its own. */
export const attributeOf = (name: string): string => RENAMED[name] ?? name;

/** Whether an option of the library has a flag. */
export const isFlagged = (name: string): boolean => FLAGGED.some((flagged) => flagged.name === name);

/** The flags of some of the library's options. */
export function flagsNamed(names: readonly OptionName[]): Flag[] {
  return FLAGGED.filter(({ name }) => names.includes(name)).map(ownFlag);
}

/** The flags of a group, each once. */
export function flagsOf(group: FlagGroup): Flag[] {
  const seen = new Set<string>();
  const isNew = ({ attribute }: Flagged) => !seen.has(attribute) && seen.add(attribute);
  return FLAGGED.filter((one) => one.group === group && isNew(one)).map(ownFlag);
}

/** A flag for one command: commander writes into it in which group of that command's help it stands. */
function ownFlag({ flag }: Flagged): Flag {
  return Object.assign(new Flag(flag.flags, flag.description), flag);
}

/**
 * The options of a family that flags stand for.
 *
 * @param elsewhere flags that mean something besides the library's options, too.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a flag that the family does not take.
 */
export function optionsOfFlags(
  family: Family,
  flags: object,
  elsewhere: readonly string[] = [],
): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const { name, option, attribute } of FLAGGED) {
    const value = (flags as Readonly<Record<string, unknown>>)[attribute];
    if (value === undefined) continue;
    const { families, kind } = option;
    if (families.includes(family)) {
      const convert = kind.argument && (VALUES[kind.argument] as ((value: unknown) => unknown) | undefined);
      options[name] = convert ? convert(value) : value;
      continue;
    }
    const takes = FLAGGED.some(
      (other) => other.attribute === attribute && other.option.families.includes(family),
    );
    // Flags that turn something off are there when nobody gives them.
    const isDefault = value === true && option.flag?.spelling.startsWith('--no-');
    const isLoading = families.some((one) => one === 'load') || family === 'load';
    if (takes || isDefault || isLoading || elsewhere.includes(attribute)) continue;
    throw invalidArgument(
      attribute,
      `does not apply to ${FAMILIES[family]}; it is for ${familyNames(families).join(', ')}`,
    );
  }
  return options;
}

function helpOf(name: OptionName, { help, fallback, flag }: Option): string {
  const own = HELP[name]?.() ?? flag?.help;
  if (own !== undefined) return own;
  return fallback === undefined || fallback === 'false' ? help : `${help} (default: ${fallback})`;
}

/** Numbers and switches by name, as diffusers spells them or in camelCase: s_churn=0.5,s_noise=1. */
function toSettings(text: string): Record<string, number | boolean> {
  return valuesByName(text, toNumber);
}

/** The same, with texts. */
function toFields(text: string): Record<string, number | boolean | string> {
  return valuesByName(text, (value) => (Number.isNaN(Number(value)) ? value : Number(value)));
}

/** Values with names before them: s_churn=0.5,s_noise=1. */
export function valuesByName<T>(text: string, toValue: (text: string) => T): Record<string, T | boolean> {
  const settings: Record<string, T | boolean> = {};
  for (const part of text.split(',')) {
    const [key = '', value, ...rest] = part.split('=').map((piece) => piece.trim());
    if (!key || !value || rest.length > 0) {
      throw new InvalidArgumentError('It must be names with values, such as s_churn=0.5,s_noise=1.003.');
    }
    const name = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (Object.hasOwn(settings, name)) throw new InvalidArgumentError(`It sets ${key} twice.`);
    settings[name] = value === 'true' || value === 'false' ? value === 'true' : toValue(value);
  }
  return settings;
}

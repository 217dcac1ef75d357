import { type TSchema, Type } from '@sinclair/typebox';
import { familyNames } from '../../../options/families.js';
import { isOfPictures, type JsonForm } from '../../../options/json.js';
import { whyLocal } from '../../../options/local.js';
import type { Option } from '../../../options/option.js';
import { entries, type OptionName, optionsOf } from '../../../options/spec/index.js';

// Options of a run that requests may have: names, values and meanings are those of the library's table of options.

type Offered = readonly [OptionName, Option, JsonForm];

/** Options that requests may have, with their forms in JSON. */
export const OFFERED: readonly Offered[] = entries.flatMap(([name, option]) => {
  const { json } = option.kind;
  // The job has it itself.
  if (name === 'previewEvery' || whyLocal(option) !== undefined || json === undefined) return [];
  return [[name, option, json] satisfies Offered];
});

/** Those of them that hold pictures, as texts. */
export const PICTURES: ReadonlySet<string> = new Set(
  OFFERED.filter(([, , json]) => isOfPictures(json)).map(([name]) => name),
);

/** A part of the schema of requests. */
export const RunFields: Readonly<Record<string, TSchema>> = Object.fromEntries(
  OFFERED.map(([name, option, json]) => [
    name,
    Type.Optional(Type.Unsafe({ ...json, description: describe(name, option, json) })),
  ]),
);

/** What it is, for whom, what else it needs, and its default. */
function describe(name: OptionName, option: Option, { description }: JsonForm): string {
  const { help, families, excludes = [], needs, fallback } = option;
  const isCommon = optionsOf('text2img').some(([other]) => other === name);
  const parts = [
    `${help[0]?.toUpperCase()}${help.slice(1)}.`,
    ...(isCommon ? [] : [`For ${familyNames(families).join(', ')}.`]),
    ...(typeof description === 'string' ? [description] : []),
    ...excludes.map((other) => `Not with ${other}.`),
    ...(needs ? [`Only with ${needs.name}.`] : []),
    ...(fallback === undefined ? [] : [`Default: ${fallback}.`]),
  ];
  return parts.join(' ');
}

/**
 * Looks at the options of a request as the library does, before their form is looked at: it says what is wrong in the words
 * of who wrote it.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export function checkValues(body: Readonly<Record<string, unknown>>): void {
  for (const [name, { kind }] of OFFERED) {
    const value = body[name];
    if (value !== undefined) kind.check(name, fromJson(name, value), {});
  }
}

/** The values that texts stand for: JSON has no whole numbers of 64 bits. */
export function fromJson(name: string, value: unknown): unknown {
  if (name === 'seed') return toSeed(value);
  if (name === 'seeds' && Array.isArray(value)) return value.map(toSeed);
  if (name !== 'hiresFix' || typeof value !== 'object' || value === null) return value;
  const { seed } = value as { seed?: unknown };
  return seed === undefined ? value : { ...value, seed: toSeed(seed) };
}

const toSeed = (value: unknown) =>
  typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : value;

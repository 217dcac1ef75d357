import type { Family } from '../families.js';
import type { Option } from '../option.js';
import { CONTROL_OPTIONS } from './control.js';
import { DISTILLED_OPTIONS } from './distilled.js';
import { GUIDANCE_OPTIONS } from './guidance.js';
import { IP_ADAPTER_OPTIONS } from './ip-adapter.js';
import { LOAD_OPTIONS } from './loading.js';
import { PICTURE_OPTIONS } from './pictures.js';
import { RUN_OPTIONS } from './run.js';
import { T2I_ADAPTER_OPTIONS } from './t2i-adapter.js';
import { TEXT_OPTIONS } from './texts.js';
import { VIDEO_OPTIONS } from './videos.js';

/**
 * All options of the library. A new one is an entry here, and what uses it: names, types, checks, help texts, flags and
 * tables follow.
 */
export const OPTIONS = {
  ...TEXT_OPTIONS,
  ...PICTURE_OPTIONS,
  ...CONTROL_OPTIONS,
  ...T2I_ADAPTER_OPTIONS,
  ...IP_ADAPTER_OPTIONS,
  ...VIDEO_OPTIONS,
  ...RUN_OPTIONS,
  ...GUIDANCE_OPTIONS,
  ...DISTILLED_OPTIONS,
  ...LOAD_OPTIONS,
};

type Options = typeof OPTIONS;
type FamilyOf<O> = O extends Option<infer _, infer F> ? F : never;
type ValueOf<O> = O extends Option<infer T, infer _> ? T : never;

type AllOptions = { [Name in keyof Options]?: ValueOf<Options[Name]> };
type NamesOf<F extends Family> = {
  [Name in keyof Options]: F extends FamilyOf<Options[Name]> ? Name : never;
}[keyof Options];

/** What a family takes. */
export type OptionsOf<F extends Family> = Pick<AllOptions, NamesOf<F>>;

export type OptionName = keyof Options;

/** The entries by name, without the types of their values. */
export const entries: readonly (readonly [OptionName, Option])[] = Object.entries(OPTIONS) as [
  OptionName,
  Option,
][];

/** The options that a family takes. */
export function optionsOf(family: Family): (readonly [OptionName, Option])[] {
  return entries.filter(([, { families }]) => families.includes(family));
}

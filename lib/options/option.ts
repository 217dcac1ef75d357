import type { Family } from './families.js';
import type { Kind } from './kinds.js';

/** The groups of `deepcache generate --help` that options of the library stand in. */
export type FlagGroup = 'make' | 'picture' | 'how' | 'tensor' | 'model' | 'output';

/** How the command line spells an option. */
export interface Flag {
  /** As commander takes it: '-s, --seed <n>'. */
  readonly spelling: string;
  readonly group: FlagGroup;
  /** What the help says instead of the option's own text. */
  readonly help?: string;
}

/** An option of the library, stated once: all checks, help texts and tables come from here. */
export interface Option<T = unknown, F extends Family = Family> {
  /** What values it takes. */
  readonly kind: Kind<T>;
  /** Who takes it. */
  readonly families: readonly F[];
  /** One line for tables and for the command line. */
  readonly help: string;
  /** Its default as tables show it; none: absent. */
  readonly fallback?: string;
  /** The option of which it is another name. */
  readonly aliasOf?: string;
  /** Options that cannot be given with it. */
  readonly excludes?: readonly string[];
  /** An option that must be given with it, and why. */
  readonly needs?: { readonly name: string; readonly why: string };
  /** Families that cannot do without it, with what the message says besides "is missing"; see `instead`. */
  readonly required?: { readonly [Name in Family]?: string };
  /** An option that may stand in the place of a required one. */
  readonly instead?: string;
  readonly flag?: Flag;
  /** Why no request from elsewhere may have it, see {@link whyLocal}; absent: requests may, as far as JSON has a form for it. */
  readonly local?: string;
}

/** Keeps the types of an entry. */
export function option<T, const F extends Family>(entry: Option<T, F>): Option<T, F> {
  return entry;
}

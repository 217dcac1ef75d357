import { DeepCacheError } from '../errors.js';
import { closest } from '../names.js';
import { findAlias, UI_NAMES } from './aliases.js';
import type { SchedulerConfig } from './config.js';
import type { SchedulerName } from './known-names.js';
import type { SchedulerClass } from './scheduler-class.js';

const classes = new Map<string, SchedulerClass>();

/** A class, and the fields that a name sets besides, as 'DPM++ 2M Karras' does. */
export interface NamedScheduler {
  scheduler: SchedulerClass;
  fields: SchedulerConfig;
}

/** Makes a class known to Scheduler.fromConfig by its name. */
export function registerScheduler(scheduler: SchedulerClass): void {
  classes.set(shortName(scheduler.className), scheduler);
}

/**
 * The class of a diffusers name ('Scheduler', 'Discrete' and 'Multistep' may be left out) or of a name that user
 * interfaces have for it. Case does not matter.
 */
export function findScheduler(name: unknown): NamedScheduler | undefined {
  if (typeof name !== 'string') return undefined;
  const own = classes.get(shortName(name));
  if (own) return { scheduler: own, fields: {} };
  const alias = findAlias(name);
  const scheduler = alias && classes.get(shortName(alias.className));
  // Euler a has no Karras sigmas.
  if (!scheduler || !Object.keys(alias.fields).every((field) => Object.hasOwn(scheduler.defaults, field))) {
    return undefined;
  }
  return { scheduler, fields: alias.fields };
}

/**
 * {@link findScheduler} for names that must be known.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED with the names that there are, and the nearest one.
 */
export function schedulerClass(name: unknown): NamedScheduler {
  if (typeof name !== 'string' || name === '') {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_CONFIG',
      'the scheduler configuration has no _class_name',
    );
  }
  const found = findScheduler(name);
  if (found) return found;
  throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `scheduler ${unknownScheduler(name)}`);
}

/** What to say about the name of a scheduler that there is not. */
export function unknownScheduler(name: string): string {
  const names = [...schedulerNames().map((known) => known.replace(/Scheduler$/, '')), ...UI_NAMES];
  // A spacing may have been added that the sampler does not have.
  const beginnings = names.filter((known) => name.toLowerCase().startsWith(`${known.toLowerCase()} `));
  const near = closest(name, names) ?? beginnings.sort((x, y) => y.length - x.length)[0];
  const shown = JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}...` : name);
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
  return `${shown} is not implemented${hint}; there are ${schedulerNames().join(', ')}`;
}

/** The classes of all schedulers that are implemented: diffusers' names, and two of original programs. */
export function schedulerNames(): SchedulerName[] {
  return [...classes.values()].map((c) => c.className as SchedulerName);
}

/** Whether any scheduler has a field of this name. */
export function isKnownField(field: string): boolean {
  return classesWith(field).length > 0;
}

/** The fields of all schedulers. */
export function knownFields(): string[] {
  return [...new Set([...classes.values()].flatMap((c) => Object.keys(c.defaults)))];
}

/** The schedulers that have a field of this name. */
export function classesWith(field: string): string[] {
  return [...classes.values()].filter((c) => Object.hasOwn(c.defaults, field)).map((c) => c.className);
}

function shortName(name: string): string {
  return name.toLowerCase().replace(/(discrete|multistep)?(scheduler)?$/, '');
}

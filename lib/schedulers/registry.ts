import { DeepCacheError } from '../errors.js';
import type { SchedulerClass } from './scheduler.js';

const classes = new Map<string, SchedulerClass>();

/** Makes a class known to Scheduler.fromConfig by its name. */
export function registerScheduler(scheduler: SchedulerClass): void {
  classes.set(shortName(scheduler.className), scheduler);
}

/** The class of a diffusers name; 'Scheduler', 'Discrete' and 'Multistep' may be left out, case does not matter. */
export function schedulerClass(name: unknown): SchedulerClass {
  if (typeof name !== 'string' || name === '') {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_CONFIG',
      'the scheduler configuration has no _class_name',
    );
  }
  const found = classes.get(shortName(name));
  if (found) return found;
  const known = schedulerNames().join(', ');
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `scheduler '${name}' is not implemented; there are ${known}`,
  );
}

/** diffusers' names of all schedulers that are implemented. */
export function schedulerNames(): string[] {
  return [...classes.values()].map((c) => c.className);
}

/** Whether any scheduler has a field of this name. */
export function isKnownField(field: string): boolean {
  return [...classes.values()].some((c) => field in c.defaults);
}

function shortName(name: string): string {
  return name.toLowerCase().replace(/(discrete|multistep)?(scheduler)?$/, '');
}

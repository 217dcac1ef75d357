import type { SchedulerConfig } from './config.js';
import type { Scheduler } from './scheduler.js';
import type { SchedulerClass } from './scheduler-class.js';

/** A scheduler's fields that are not as the defaults of its class, in diffusers' spelling. */
export function fieldsSet(scheduler: Scheduler): SchedulerConfig {
  const { defaults } = scheduler.constructor as unknown as SchedulerClass;
  const isSet = ([name, value]: [string, unknown]) =>
    name in defaults && JSON.stringify(value) !== JSON.stringify(defaults[name]);
  return Object.fromEntries(Object.entries(scheduler.config).filter(isSet));
}

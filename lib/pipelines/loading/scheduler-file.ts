import { DeepCacheError, withOwner } from '../../errors.js';
import { defaultLog } from '../../log.js';
import { remarks } from '../../messages.js';
import type { PartSource } from '../../models/part-source.js';
import * as kinds from '../../options/kinds.js';
import { explicitFields, SchedulerFieldError, show } from '../../schedulers/config.js';
import { unreadFields } from '../../schedulers/fields.js';
import { Scheduler, type SchedulerConfig, schedulerNames } from '../../schedulers/index.js';
import { findScheduler, schedulerClass } from '../../schedulers/registry.js';
import type { LoadOptions, ModelIndex } from './parts.js';
import { repairTexts, schedulerRepairs } from './repairs.js';

/** Most fields that a remark names. */
const MOST = 20;

/** Where models have their sampler's configuration. */
export const SCHEDULER_FILE = 'scheduler/scheduler_config.json';

/** Another sampler: a name, a configuration or a scheduler. */
export type SchedulerChoice = string | SchedulerConfig | Scheduler;

export interface SchedulerReading {
  /** The pipeline that is made, whose corrections of old files apply. */
  pipeline: string;
  /** The scheduler's class by the folder's model_index.json; the file's own by default. */
  className?: string | undefined;
  choice?: SchedulerChoice | undefined;
  signal?: AbortSignal | undefined;
}

/** A scheduler, and what of its file was not taken as it stands. */
export interface LoadedScheduler {
  scheduler: Scheduler;
  /** What is not obeyed, as sentences. */
  ignored: string[];
  /** What was corrected, as sentences. */
  notes: string[];
}

/**
 * The scheduler that options name. A name or a configuration goes on top of `base`'s own, as diffusers' from_config
 * has it.
 */
export function chooseScheduler(choice: SchedulerChoice, base: Scheduler): Scheduler {
  if (choice instanceof Scheduler) return choice;
  const overrides = overridesOf(choice);
  try {
    return Scheduler.fromConfig(base, overrides);
  } catch (error) {
    throw inOption(error, overrides);
  }
}

/**
 * The scheduler of a model, or the one that options name. What was not taken from its file is logged.
 *
 * @param file what holds its configuration.
 */
export async function loadScheduler(
  { source, className: pipeline, value }: ModelIndex,
  { scheduler: choice, log = defaultLog, signal }: LoadOptions,
  file: string = SCHEDULER_FILE,
): Promise<Scheduler> {
  const className = schedulerOfIndex(value);
  const loaded = await readScheduler(source, { pipeline, className, choice, signal }, file);
  for (const message of [...loaded.ignored, ...loaded.notes]) log(message);
  return loaded.scheduler;
}

/** The scheduler's class that a model_index.json names. */
export function schedulerOfIndex({ scheduler }: ModelIndex['value']): string | undefined {
  const name = Array.isArray(scheduler) ? scheduler[1] : undefined;
  return typeof name === 'string' ? name : undefined;
}

/**
 * Reads a model's scheduler_config.json, for the class that the model's index names, or makes the one that was
 * chosen instead: of a model whose own is not implemented, too.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming file and field, ERR_DEEPCACHE_UNSUPPORTED naming the class
 * and how to choose another one; what {@link chooseScheduler} throws about the choice.
 */
export async function readScheduler(
  source: Pick<PartSource, 'json'>,
  { choice, className, pipeline, signal }: SchedulerReading,
  file: string = SCHEDULER_FILE,
): Promise<LoadedScheduler> {
  if (choice instanceof Scheduler) return { scheduler: choice, ignored: [], notes: [] };
  const { path, value } = await source.json(file, { signal });
  const own: SchedulerConfig = { ...value, _class_name: className ?? value._class_name };
  const repairs = schedulerRepairs(pipeline, own);
  const defaults = Array.isArray(own._use_default_values) ? own._use_default_values : [];
  const config: SchedulerConfig = {
    ...own,
    ...repairs,
    _use_default_values: defaults.filter((field) => !Object.hasOwn(repairs, String(field))),
  };
  const overrides = choice === undefined ? {} : overridesOf(choice);
  if (overrides._class_name === undefined) requireClass(path, own._class_name);
  const scheduler = make(path, config, overrides);
  const ignored = ignoredRemarks(scheduler.ignoredFields, 'this version does not have it');
  const notes = repairTexts(own, repairs);
  const other = overrides._class_name === undefined ? otherClass(value, scheduler) : undefined;
  if (other) (other.lost ? ignored : notes).push(other.text);
  else notes.push(...ignoredRemarks(scheduler.foreignFields, `${scheduler.className} does not have it`));
  const named = (texts: readonly string[]) => texts.map((text) => `${path}: ${text}`);
  return { scheduler, ignored: named(ignored), notes: named(notes) };
}

function ignoredRemarks(fields: readonly string[], why: string): string[] {
  return remarks(fields, (field) => `${show(field)} is ignored: ${why}`, 'fields are ignored');
}

/** What becomes of a file that was written for another class than the one that model_index.json names. */
function otherClass(
  file: SchedulerConfig,
  { className, foreignFields }: Scheduler,
): { text: string; lost: boolean } | undefined {
  const written = findScheduler(file._class_name)?.scheduler;
  if (typeof file._class_name !== 'string' || written?.className === className) return undefined;
  const lost = unreadFields(schedulerClass(className).scheduler, explicitFields(file)).filter(
    (field) => !written || Object.hasOwn(written.defaults, field) || foreignFields.includes(field),
  );
  const text = `it is of class ${show(file._class_name)}, model_index.json names ${className}, which is taken`;
  if (lost.length === 0) return { text, lost: false };
  const shown = lost.slice(0, MOST).map(show).join(', ') + (lost.length > MOST ? ', ...' : '');
  return { text: `${text}; ignored, as that does not have it: ${shown}`, lost: true };
}

function make(path: string, config: SchedulerConfig, overrides: SchedulerConfig): Scheduler {
  try {
    return Scheduler.fromConfig(config, overrides);
  } catch (error) {
    const told = inOption(error, overrides);
    throw told === error && error instanceof SchedulerFieldError ? withOwner(path, error) : told;
  }
}

/** What is wrong with a field that the user set is wrong with the option; all else is the file's. */
function inOption(error: unknown, overrides: SchedulerConfig): unknown {
  if (!(error instanceof SchedulerFieldError) || !Object.hasOwn(overrides, error.field)) return error;
  const code = error.code === 'ERR_DEEPCACHE_INVALID_CONFIG' ? 'ERR_DEEPCACHE_INVALID_ARGUMENT' : error.code;
  return new DeepCacheError(code, `scheduler: ${error.message}`, { cause: error });
}

function requireClass(path: string, name: unknown): void {
  if (findScheduler(name)) return;
  if (typeof name !== 'string') {
    throw new DeepCacheError('ERR_DEEPCACHE_INVALID_CONFIG', `${path}: lacks "_class_name"`);
  }
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `${path}: the model's own sampler, ${show(name)}, is not implemented; choose another one with the option ` +
      `scheduler (--scheduler): ${schedulerNames().join(', ')}`,
  );
}

function overridesOf(choice: string | SchedulerConfig): SchedulerConfig {
  // A folder's own scheduler is replaced before anything else looks at the option.
  kinds.scheduler.check('scheduler', choice, {});
  return typeof choice === 'string' ? { _class_name: choice } : choice;
}

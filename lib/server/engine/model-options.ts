import { invalidArgument, withOwner } from '../../errors.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { checkOptions } from '../../options/check.js';
import { OPTIONS, type OptionsOf } from '../../options/spec/index.js';
import type { GenerationDefaults, LoadOptions } from '../../pipelines/loading/parts.js';

/** Options of runs that the owner of a model may have other defaults for. */
export const RUN_DEFAULTS = [
  ...(['steps', 'guidanceScale', 'guidanceRescale', 'cache', 'negativePrompt'] as const),
  ...(['clipSkip', 'longPrompts', 'promptWeighting', 'vaeTiling'] as const),
] satisfies readonly (keyof typeof OPTIONS)[];

/** Defaults of `generate`'s options of the same names, for jobs that say nothing else. */
export interface RunDefaults extends Pick<OptionsOf<'text2img'>, (typeof RUN_DEFAULTS)[number]> {}

/** What runs of a model take where they say nothing else: its files' recommendations, and its owner's on top. */
export type ModelDefaults = Omit<GenerationDefaults, keyof RunDefaults> & RunDefaults;

/** Where a model lies, and how it is loaded. */
export interface ModelOptions extends Omit<LoadOptions, 'signal' | 'onProgress' | 'maxPending'> {
  /** What `fromPretrained` takes: a folder, a file, a name on the Hugging Face Hub, 'demo'. */
  readonly model: string;
  /** What jobs for it take where they say nothing else, such as `{ cache: 'balanced' }`. */
  readonly defaults?: RunDefaults;
}

/**
 * The models of an engine with their options, checked as far as that goes without their files.
 *
 * @param owner what stands before a model's name in messages.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the model and the option.
 */
export function checkModels(given: unknown, owner = 'models.'): Map<string, ModelOptions> {
  if (typeof given !== 'object' || given === null)
    throw invalidArgument('models', `must be an object: models by their names, got ${show(given)}`);
  const models = new Map<string, ModelOptions>();
  for (const [name, one] of Object.entries(given)) {
    const options = typeof one === 'string' ? { model: one } : one;
    named(`${owner}${name}`, () => checkModel(options));
    models.set(name, options);
  }
  if (models.size === 0) throw invalidArgument('models', 'names none');
  return models;
}

/** Puts what is wrong behind the name of whose it is. */
export function named<T>(owner: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw withOwner(owner, error);
  }
}

function checkModel(given: unknown): void {
  if (typeof given !== 'object' || given === null)
    throw invalidArgument('options', `must be a place, or an object with one, got ${show(given)}`);
  const { model, defaults = {}, ...load } = given as ModelOptions;
  if (typeof model !== 'string' || model === '')
    throw invalidArgument('model', `must be a folder, a file or a name, got ${show(model)}`);
  for (const own of ['signal', 'onProgress', 'maxPending'])
    if (own in load) throw invalidArgument(own, 'is not an option of a model that jobs share');
  checkOptions('load', load);
  named('defaults', () => checkRunDefaults(defaults));
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option. */
export function checkRunDefaults(defaults: RunDefaults): void {
  if (typeof defaults !== 'object' || defaults === null)
    throw invalidArgument('defaults', `must be an object, got ${show(defaults)}`);
  checkNames(defaults, RUN_DEFAULTS);
  for (const name of RUN_DEFAULTS)
    if (defaults[name] !== undefined) OPTIONS[name].kind.check(name, defaults[name], {});
}

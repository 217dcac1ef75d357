import { nameOf } from '../compare/settings.js';
import type { CacheOptions } from '../deepcache/index.js';
import { DeepCacheError } from '../errors.js';
// Registers all pipelines.
import '../index.js';
import { checkPasses } from '../hires/second-pass.js';
import { checkOptions } from '../options/check.js';
import type { Family } from '../options/families.js';
import type { AnyFamily } from '../pipelines/family.js';
import { modelDefaults } from '../pipelines/loading/about-model.js';
import { withDefaults } from '../pipelines/loading/generation-config.js';
import { readModelIndex } from '../pipelines/loading/model-index.js';
import type { FolderFacts, LoadOptions, ModelIndex } from '../pipelines/loading/parts.js';
import { findPipeline } from '../pipelines/loading/registry.js';
import { classOf, familyOf } from './family.js';
import { type GenerateFlags, toLoadOptions } from './generate-options.js';

/**
 * Throws what is wrong with the options of a run, before its model is loaded: what configurations say about the model is
 * enough. A folder that is not a model is reported when it is loaded.
 */
export async function checkForFolder(
  model: string,
  name: Family,
  options: object,
  load: LoadOptions,
): Promise<void> {
  checkOptions(name, options);
  (await checkOf(model, name, load))(options);
}

/** The same for runs that differ in their cache; messages name the setting. */
export async function checkSettings(
  model: string,
  name: Family,
  options: object,
  settings: readonly CacheOptions[],
  load: LoadOptions,
): Promise<void> {
  checkOptions(name, options);
  const check = await checkOf(model, name, load);
  check(options);
  for (const cache of settings) {
    try {
      check({ ...options, cache });
    } catch (error) {
      if (!(error instanceof DeepCacheError)) throw error;
      const message = `${error.message} (of the setting "${nameOf(cache)}")`;
      throw new DeepCacheError(error.code, message, { cause: error });
    }
  }
}

/** Looks at a folder once, for the check of any options. */
async function checkOf(model: string, name: Family, load: LoadOptions): Promise<(options: object) => void> {
  const known = await orUndefined(async () => {
    const index = await readModelIndex(model, load);
    return {
      ...(await lookAt(index, load)),
      className: index.className,
      defaults: await defaultsOf(index, load.signal),
    };
  });
  const family = findPipeline(classOf(name, known?.className))?.family as AnyFamily | undefined;
  if (!known || !family) return (options) => void checkOptions(name, options);
  const { defaults, facts, scheduler } = known;
  return (options) => checkPasses(family, withDefaults(defaults, options), facts, scheduler);
}

/** Whose options runs of a folder take. */
export async function familyOfFolder(model: string, flags: GenerateFlags): Promise<Family> {
  const index = await orUndefined(() => readModelIndex(model, toLoadOptions(flags)));
  return familyOf(index?.className, flags);
}

async function lookAt(index: ModelIndex, load: LoadOptions): Promise<FolderFacts> {
  const own = findPipeline(index.className);
  if (!own) throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', index.className);
  return own.family.readFacts(index, load);
}

async function defaultsOf(index: ModelIndex, signal: AbortSignal | undefined) {
  return {
    ...findPipeline(index.className)?.family.recommended,
    ...(await modelDefaults(index, () => {}, signal)),
  };
}

/** Nothing where a folder's files are wrong; an abort and a bug are thrown. */
async function orUndefined<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DeepCacheError && error.code !== 'ERR_DEEPCACHE_INVALID_ARGUMENT') return undefined;
    throw error;
  }
}

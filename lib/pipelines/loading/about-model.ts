import { recognise } from '../../distilled/recognise.js';
import type { Log } from '../../log.js';
import { ModelPlans } from '../../plans/model-plans.js';
import { readGenerationConfig } from './generation-config.js';
import { nameModel } from './model-name.js';
import type { GenerationDefaults, ModelIndex, PipelineParts } from './parts.js';
import { findPipeline } from './registry.js';
import { SCHEDULER_FILE, schedulerOfIndex } from './scheduler-file.js';

/** What a model's place says about it besides its networks. */
export async function aboutModel(
  index: ModelIndex,
  usual: GenerationDefaults | undefined,
  log: Log,
  signal?: AbortSignal,
): Promise<Required<Pick<PipelineParts, 'defaults' | 'model' | 'plans'>>> {
  const { source } = index;
  const defaults = { ...usual, ...(await modelDefaults(index, log, signal)) };
  const model = await nameModel(...source.places);
  return { defaults, model, plans: await ModelPlans.of(source.place, model.fingerprint, log, signal) };
}

/**
 * Defaults of a model's runs: what its generation_config.json says, and what its parts are made for.
 *
 * @throws DeepCacheError see {@link readGenerationConfig}
 */
export async function modelDefaults(
  { source, className, value }: ModelIndex,
  log: Log,
  signal?: AbortSignal,
): Promise<GenerationDefaults> {
  const own = await readGenerationConfig(source, log, signal);
  const parts = findPipeline(className)?.family.parts ?? [];
  if (!parts.some((part) => part === 'textEncoder' || part === 'text')) return own;
  // What is wrong with these files is said when they are read for their own sake.
  const read = async (file: string) =>
    source.hasJson(file) ? (await source.json(file, { signal }).catch(() => undefined))?.value : undefined;
  const named = schedulerOfIndex(value) ?? (await read(SCHEDULER_FILE))?._class_name;
  const scheduler = typeof named === 'string' ? named : undefined;
  const found = recognise((await read('unet/config.json')) ?? {}, scheduler);
  return { ...found, ...own };
}

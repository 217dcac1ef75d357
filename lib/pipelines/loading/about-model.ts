import type { Log } from '../../log.js';
import type { PartSource } from '../../models/part-source.js';
import { ModelPlans } from '../../plans/model-plans.js';
import { readGenerationConfig } from './generation-config.js';
import { nameModel } from './model-name.js';
import type { GenerationDefaults, PipelineParts } from './parts.js';

/**
 * What a model's place says about it besides its networks.
 *
 * @param usual defaults of the kind of pipeline, which the model's own take the place of.
 */
export async function aboutModel(
  source: PartSource,
  usual: GenerationDefaults | undefined,
  log: Log,
  signal?: AbortSignal,
): Promise<Required<Pick<PipelineParts, 'defaults' | 'model' | 'plans'>>> {
  const defaults = { ...usual, ...(await readGenerationConfig(source, log, signal)) };
  const model = await nameModel(...source.places);
  return { defaults, model, plans: await ModelPlans.of(source.place, model.fingerprint, log, signal) };
}

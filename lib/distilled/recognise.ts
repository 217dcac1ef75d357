import type { JsonObject } from '../files/json.js';
import { type Distillation, recipeOf } from './recipes.js';

/** What a model's own files say of it. */
export interface DistilledModel {
  readonly distilled: Distillation;
  readonly steps: number;
  readonly guidanceScale: number;
}

/**
 * How a model was distilled, by what its configurations cannot mean otherwise: a U-Net that takes the guidance scale as
 * an input, or a sampler that only distilled models have. Turbo, Lightning and Hyper-SD models are not to be told from
 * others so: they have a usual sampler that begins at the last timestep.
 *
 * @param scheduler the class that the model names.
 */
export function recognise(
  unet: Readonly<JsonObject>,
  scheduler: string | undefined,
): DistilledModel | undefined {
  // diffusers: the default of LatentConsistencyModelPipeline.
  if (Number(unet.time_cond_proj_dim ?? 0) > 0) return { distilled: 'lcm', steps: 4, guidanceScale: 8.5 };
  const distilled = scheduler === 'LCMScheduler' ? 'lcm' : scheduler === 'TCDScheduler' ? 'tcd' : undefined;
  if (distilled === undefined) return undefined;
  const { steps, guidanceScale } = recipeOf(distilled);
  return { distilled, steps, guidanceScale };
}

import { DISTILLATIONS, type Distillation, recipeOf } from './recipes.js';

/** What a run's options say of its steps. */
interface Given {
  readonly steps?: number;
  readonly numInferenceSteps?: number;
  readonly timesteps?: unknown;
  readonly sigmas?: unknown;
  readonly scheduler?: unknown;
}

/**
 * Defaults of a run of a distilled model: its recipe, on top of what is usual for the model. With a sampler of the user's
 * own nothing is left of the recipe but steps and guidance.
 *
 * @param own the model's; those of a model that is known to be of this kind come before the recipe.
 */
export function distilledDefaults(
  distilled: unknown,
  given: Given,
  own: { readonly distilled?: Distillation },
): Readonly<Record<string, unknown>> {
  const known = DISTILLATIONS.find((name) => name === distilled);
  if (known === undefined) return own;
  const count = given.steps ?? given.numInferenceSteps;
  const { scheduler, eta, timesteps, ...usual } = recipeOf(known, count);
  const sampler = given.scheduler === undefined ? { scheduler, eta, timesteps } : {};
  return known === own.distilled ? { ...usual, ...own, ...sampler } : { ...own, ...usual, ...sampler };
}

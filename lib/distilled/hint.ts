import type { Scheduler } from '../schedulers/index.js';

/** Steps that models which need few hardly get. */
const MANY = 8;

/**
 * What a run may lack whose model's own sampler begins at the last timestep, as those of Turbo, Lightning and Hyper-SD
 * models do; undefined where nothing speaks for one. Models for a zero signal there begin so, too, and say it.
 */
export function distilledHint(
  { className, config, predictionType }: Scheduler,
  options: {
    readonly scheduler?: unknown;
    readonly distilled?: unknown;
    readonly guided: boolean;
    readonly steps: number;
  },
): string | undefined {
  const isOwn = options.scheduler === undefined && options.distilled === undefined;
  const isEuler = /^Euler(Ancestral)?DiscreteScheduler$/.test(className);
  const isTrailing = config.timestep_spacing === 'trailing' && config.rescale_betas_zero_snr !== true;
  if (!isOwn || !isEuler || !isTrailing || predictionType !== 'epsilon') return undefined;
  if (!options.guided || options.steps <= MANY) return undefined;
  return "the model's sampler begins at the last timestep, as those of Turbo and Lightning models do: if it is one, give distilled ('turbo', ...)";
}

import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { THRESHOLD_DEFAULTS } from './clipping.js';
import { type CompileOptions, optionInRange, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';

/** Fields of the samplers of models that were distilled on few timesteps. */
export const DISTILLED_DEFAULTS = {
  ...TRAINING_DEFAULTS,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  original_inference_steps: 50,
  clip_sample: false,
  clip_sample_range: 1,
  ...THRESHOLD_DEFAULTS,
  set_alpha_to_one: true,
  timestep_spacing: 'leading',
  timestep_scaling: 10,
  rescale_betas_zero_snr: false,
} satisfies SchedulerConfig;

/** The timesteps that a model was distilled on. */
export interface Distillation {
  className: string;
  trainSteps: number;
  /** original_inference_steps of the configuration. */
  original: number;
  /** Whether the option originalInferenceSteps opens all of the training timesteps instead of as many. */
  opensAll: boolean;
}

/**
 * The timesteps of a run, evenly taken from those that the model was distilled on (Luo et al. 2023, section 4.3), or
 * the user's own.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option that is wrong.
 */
export function distilledTimesteps(options: CompileOptions, distillation: Distillation): number[] {
  const { className, trainSteps, opensAll } = distillation;
  const steps = resolveSteps(className, options, trainSteps, ['timesteps']);
  if (options.timesteps) {
    if (options.strength !== undefined) {
      throw invalidArgument('strength', 'of the sampler and timesteps of your own exclude each other');
    }
    return options.timesteps.map(requireWhole);
  }
  const { originalInferenceSteps: given } = options;
  const original = given ?? distillation.original;
  if (!Number.isInteger(original) || original < 1 || original > trainSteps) {
    const range = `must be a whole number from 1 to ${trainSteps}`;
    throw invalidArgument('originalInferenceSteps', `${range}, got ${show(original)}`);
  }
  const length = given !== undefined && opensAll ? trainSteps : original;
  const count = Math.floor(length * optionInRange('strength', options.strength, 1, 0, 1));
  const most = Math.min(count, original);
  if (steps > most) {
    const message = `must not be more than the ${most} steps the model was distilled on, got ${steps}`;
    throw invalidArgument('steps', `${message}; see original_inference_steps`);
  }
  const stride = Math.floor(trainSteps / length);
  const origin = Array.from({ length: count }, (_, i) => (count - i) * stride - 1);
  const pick = (_: unknown, i: number) => origin[Math.floor(i * (count / steps))] as number;
  return Array.from({ length: steps }, pick);
}

function requireWhole(timestep: number): number {
  if (Number.isInteger(timestep)) return timestep;
  throw invalidArgument('timesteps', `must be whole numbers for this scheduler, got ${timestep}`);
}

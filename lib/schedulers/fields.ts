import { DeepCacheError } from '../errors.js';
import { unknownName } from '../names.js';
import type { SchedulerConfig } from './config.js';
import { classesWith, isKnownField, knownFields } from './registry.js';
import type { SchedulerClass } from './scheduler-class.js';

type Fields = Pick<SchedulerClass, 'className' | 'defaults'>;

/**
 * Fields that change nothing in a class without them, and when: true always, a value when they have it, the name of a
 * field as long as that one is not set.
 */
const HARMLESS: Readonly<Record<string, true | { value: unknown } | { unless: string }>> = {
  use_flow_sigmas: { value: false },
  flow_shift: { unless: 'use_flow_sigmas' },
  shift_terminal: { unless: 'use_flow_sigmas' },
  use_dynamic_shifting: { value: false },
  time_shift_type: { unless: 'use_dynamic_shifting' },
  // Read as prediction_type.
  predict_epsilon: true,
  // The array library, before v0.4.
  tensor_format: true,
};

/**
 * The fields of a configuration that should matter and do not: not those of other scheduler classes, which diffusers
 * keeps and does not read either.
 */
export function ignoredFields(target: Fields, config: SchedulerConfig): string[] {
  return unreadFields(target, config).filter((field) => !isKnownField(field));
}

/**
 * What the configurations of many classes say about the noise, with the value that says nothing. Here a class that has
 * no such field, as in diffusers, is worth a remark.
 */
const COMMON: Readonly<Record<string, unknown>> = {
  rescale_betas_zero_snr: false,
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
  use_lu_lambdas: false,
  use_flow_sigmas: false,
  final_sigmas_type: 'zero',
  timestep_type: 'discrete',
  thresholding: false,
};

/** Fields that a scheduler of another class would obey, and that are about more than its own way of solving. */
export function foreignFields(target: Fields, config: SchedulerConfig): string[] {
  return unreadFields(target, config).filter(
    (field) => Object.hasOwn(COMMON, field) && COMMON[field] !== config[field],
  );
}

/** All fields of a configuration that a class does not have, but for those that change nothing. */
export function unreadFields(target: Fields, config: SchedulerConfig): string[] {
  return Object.entries(config)
    .filter(([field, value]) => {
      if (field.startsWith('_') || value === null || value === undefined) return false;
      return !Object.hasOwn(target.defaults, field) && !isHarmless(field, config);
    })
    .map(([field]) => field);
}

/**
 * Refuses fields on top of a configuration that would not be obeyed.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, ERR_DEEPCACHE_UNSUPPORTED
 */
export function checkOverrides(target: Fields, overrides: SchedulerConfig): void {
  const { className } = target;
  // A whole configuration may hold what its scheduler kept for other classes.
  const isWhole = overrides._diffusers_version !== undefined;
  const unread = isWhole
    ? ignoredFields(target, overrides)
    : Object.keys(overrides).filter((field) => !field.startsWith('_') && overrides[field] !== undefined);
  for (const field of unread) {
    if (Object.hasOwn(target.defaults, field)) continue;
    const known = Object.hasOwn(HARMLESS, field) ? HARMLESS[field] : undefined;
    if (typeof known === 'object' && 'value' in known && known.value === overrides[field]) continue;
    if (known && !isKnownField(field)) {
      const message = `scheduler: "${field}" of ${className} is not implemented`;
      throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', message);
    }
    throw new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', `scheduler: ${notAField(target, field)}`);
  }
}

/**
 * Refuses zero terminal SNR on top of a model that predicts the noise. In the first step its latents would be noise
 * alone, and an error of one percent would be 40 times a picture. Files that say so are taken as diffusers takes them.
 */
export function checkZeroSnr(overrides: SchedulerConfig, predictionType: string): void {
  if (overrides.rescale_betas_zero_snr !== true || overrides._diffusers_version !== undefined) return;
  if (predictionType !== 'epsilon') return;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
    'scheduler: "rescale_betas_zero_snr" is for models with prediction_type v_prediction or sample; with epsilon, as ' +
      'here, the first step says nothing about the picture',
  );
}

/** What to say about a field that a class, or without one any class, does not have. */
export function notAField(target: Fields | undefined, field: string): string {
  const what = `"${field}" is not a field of ${target?.className ?? 'any sampler'}`;
  if (field === 'eta') return `${what}; eta is an option of its own`;
  const others = classesWith(field);
  if (target && others.length > 0) return `${what}; those with it are ${others.join(', ')}`;
  const known = target ? Object.keys(target.defaults) : knownFields();
  return `${what}; ${unknownName(field, known)}`;
}

function isHarmless(field: string, config: SchedulerConfig): boolean {
  const rule = Object.hasOwn(HARMLESS, field) ? HARMLESS[field] : undefined;
  if (rule === undefined || rule === true) return rule === true;
  return 'value' in rule ? config[field] === rule.value : !config[rule.unless];
}

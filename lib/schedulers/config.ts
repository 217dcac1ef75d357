import { DeepCacheError, type DeepCacheErrorCode } from '../errors.js';

/** A scheduler_config.json as diffusers writes it, keys in snake_case. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

/** Longest piece of a value that a message shows. */
const SHOWN = 60;

/** A field of a scheduler's configuration that is wrong or not supported; the message names class and field. */
export class SchedulerFieldError extends DeepCacheError {
  readonly field: string;

  constructor(code: DeepCacheErrorCode, message: string, field: string) {
    super(code, message);
    this.field = field;
  }
}

/** Reads the fields of a scheduler's configuration; a value that does not fit is an error that names the field. */
export class ConfigReader {
  readonly #className: string;
  readonly #config: SchedulerConfig;

  constructor(className: string, config: SchedulerConfig) {
    this.#className = className;
    this.#config = config;
  }

  error(
    field: string,
    message: string,
    code: DeepCacheErrorCode = 'ERR_DEEPCACHE_INVALID_CONFIG',
  ): SchedulerFieldError {
    const value = this.#config[field];
    const shown = value === undefined ? '' : ` (got ${show(value)})`;
    return new SchedulerFieldError(code, `${this.#className}: ${field} ${message}${shown}`, field);
  }

  number(field: string): number {
    const value = this.#config[field];
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw this.error(field, 'must be a finite number');
    return value;
  }

  /** A finite number above 0. */
  positive(field: string): number {
    const value = this.number(field);
    if (value > 0) return value;
    throw this.error(field, 'must be above 0');
  }

  /** A number above 0, or null when the field is null or missing. */
  optionalPositive(field: string): number | null {
    return this.has(field) ? this.positive(field) : null;
  }

  integer(field: string, min: number, max: number): number {
    const value = this.number(field);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw this.error(field, `must be a whole number from ${min} to ${max}`);
  }

  /** true or false; null counts as false, as in diffusers. */
  flag(field: string): boolean {
    const value = this.#config[field] ?? false;
    if (typeof value !== 'boolean') throw this.error(field, 'must be true or false');
    return value;
  }

  choice<const T extends string>(field: string, allowed: readonly T[]): T {
    const value = this.#config[field];
    if ((allowed as readonly unknown[]).includes(value)) return value as T;
    throw this.error(field, `must be one of ${allowed.map((a) => `'${a}'`).join(', ')}`);
  }

  numbers(field: string): number[] {
    const value = this.#config[field];
    if (Array.isArray(value) && value.every((v) => typeof v === 'number' && Number.isFinite(v))) return value;
    throw this.error(field, 'must be a list of numbers');
  }

  has(field: string): boolean {
    const value = this.#config[field];
    return value !== null && value !== undefined;
  }
}

/** Fields every scheduler has. */
export const TRAINING_DEFAULTS = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: 'linear',
  trained_betas: null,
  prediction_type: 'epsilon',
  steps_offset: 0,
} satisfies SchedulerConfig;

/**
 * What of a configuration was set on purpose, and so is handed on to another scheduler class: everything but private
 * keys and the fields that diffusers lists in `_use_default_values`.
 */
export function explicitFields(config: SchedulerConfig): SchedulerConfig {
  const defaults = config._use_default_values;
  const skipped = new Set<unknown>(Array.isArray(defaults) ? defaults : []);
  const fields = Object.fromEntries(
    Object.entries(config).filter(
      ([key, value]) => !key.startsWith('_') && !skipped.has(key) && value !== undefined,
    ),
  );
  // Its name before diffusers v0.9.
  if (fields.predict_epsilon === false && fields.prediction_type === undefined) {
    fields.prediction_type = 'sample';
  }
  return fields;
}

/** A value as text of bounded length. */
export function show(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
}

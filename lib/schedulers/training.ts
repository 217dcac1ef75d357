import { type BetaSchedule, computeBetas, rescaleZeroTerminalSnr } from './betas.js';
import type { ConfigReader, SchedulerConfig } from './config.js';

/** Most training steps of a configuration: tables of this length are made of it. */
const MAX_TRAIN_STEPS = 100_000;

/** Steps that the model was trained on. */
export function readTrainSteps(fields: ConfigReader): number {
  return fields.integer('num_train_timesteps', 1, MAX_TRAIN_STEPS);
}

/** The variance of each training step, as the fields of a class say: none where it has no fields about it. */
export function readBetas(
  fields: ConfigReader,
  defaults: SchedulerConfig,
  { count, schedules }: { count: number; schedules: readonly BetaSchedule[] },
): Float64Array {
  if (!Object.hasOwn(defaults, 'beta_schedule')) return new Float64Array();
  const betas = fields.has('trained_betas')
    ? trainedBetas(fields, count)
    : scheduledBetas(fields, schedules, count);
  const rescale = Object.hasOwn(defaults, 'rescale_betas_zero_snr') && fields.flag('rescale_betas_zero_snr');
  return rescale ? rescaleZeroTerminalSnr(betas) : betas;
}

function trainedBetas(fields: ConfigReader, count: number): Float64Array {
  const betas = fields.numbers('trained_betas');
  if (betas.length !== count) throw fields.error('trained_betas', `must have ${count} values`);
  if (!betas.every((beta) => beta > 0 && beta <= 1)) {
    throw fields.error('trained_betas', 'must be between 0 and 1');
  }
  return Float64Array.from(betas, Math.fround);
}

function scheduledBetas(
  fields: ConfigReader,
  schedules: readonly BetaSchedule[],
  count: number,
): Float64Array {
  const schedule = fields.choice('beta_schedule', schedules);
  const start = fields.number('beta_start');
  const end = fields.number('beta_end');
  if (!(start > 0 && start < 1)) throw fields.error('beta_start', 'must be between 0 and 1');
  if (!(end > 0 && end < 1)) throw fields.error('beta_end', 'must be between 0 and 1');
  return computeBetas(schedule, start, end, count);
}

import type { ConfigReader, SchedulerConfig } from './config.js';
import type { StepRow } from './table.js';

/** What happens to x0 before it is used. */
export type X0Limit = Pick<StepRow['x0'], 'clamp' | 'threshold'>;

export const CLIP_DEFAULTS = { clip_sample: true, clip_sample_range: 1 } satisfies SchedulerConfig;

/** Dynamic thresholding (Saharia et al. 2022, section 2.3). */
export const THRESHOLD_DEFAULTS = {
  thresholding: false,
  dynamic_thresholding_ratio: 0.995,
  sample_max_value: 1,
} satisfies SchedulerConfig;

/** Clamping as clip_sample says. */
export function readClip(fields: ConfigReader): X0Limit {
  if (!fields.flag('clip_sample')) return {};
  return { clamp: fields.positive('clip_sample_range') };
}

/** Dynamic thresholding as `thresholding` says. */
export function readThreshold(fields: ConfigReader): X0Limit {
  if (!fields.flag('thresholding')) return {};
  const ratio = fields.number('dynamic_thresholding_ratio');
  if (!(ratio >= 0 && ratio <= 1)) throw fields.error('dynamic_thresholding_ratio', 'must be from 0 to 1');
  return { threshold: { ratio, max: fields.positive('sample_max_value') } };
}

/** For the schedulers that have both: thresholding goes before clipping. */
export function readX0Limit(fields: ConfigReader): X0Limit {
  const threshold = readThreshold(fields);
  return threshold.threshold ? threshold : readClip(fields);
}

import { fieldsSet } from '../schedulers/fields-set.js';
import type { Scheduler } from '../schedulers/index.js';
import type { PlannedRun } from './saved-plan.js';

/** Options of a run that plans look at. */
interface PlannableOptions {
  readonly steps: number;
  readonly guidanceScale?: number;
  readonly width?: number;
  readonly height?: number;
  /** Which part of the schedule is run. */
  readonly span: object;
}

/** With any of these a run's calls are others, or find other noise, than plans know of. */
const OTHERWISE = [
  'timesteps',
  'sigmas',
  'eta',
  'schedulerOptions',
  'guidanceRescale',
  'guidanceSchedule',
  'cutoffStepIndex',
  'cutoffStepRatio',
] as const;

/**
 * The kind of run that checked options make, as plans name it.
 *
 * @param pipeline diffusers' name of its class.
 * @returns undefined for runs that no plan is for.
 */
export function plannedRun(
  pipeline: string,
  scheduler: Scheduler,
  options: PlannableOptions,
): PlannedRun | undefined {
  const { steps, guidanceScale, width, height, span } = options;
  const others = OTHERWISE.map((name) => (options as unknown as Record<string, unknown>)[name]);
  const isOther = others.some((value) => value) || Object.values(span).some((value) => value !== undefined);
  if (isOther || guidanceScale === undefined || width === undefined || height === undefined) return undefined;
  const schedulerConfig = fieldsSet(scheduler);
  return { pipeline, scheduler: scheduler.className, schedulerConfig, steps, guidanceScale, width, height };
}

import { fieldsSet } from '../schedulers/fields-set.js';
import type { Scheduler } from '../schedulers/index.js';
import type { PlannedRun } from './saved-plan.js';

/** Options of a run that plans look at. */
interface PlannableOptions {
  readonly steps: number;
  readonly guidanceScale?: number;
  readonly width?: number;
  readonly height?: number;
  readonly guider?: string | undefined;
  /** Which part of the schedule is run. */
  readonly span: object;
}

/**
 * With any of these a run's calls are others, find other noise, or let what a cache gets wrong grow otherwise than plans know of.
 */
const OTHERWISE = [
  'timesteps',
  'sigmas',
  'eta',
  'schedulerOptions',
  'guidanceRescale',
  'guidanceSchedule',
  'cutoffStepIndex',
  'cutoffStepRatio',
  'guiderOptions',
  'pagScale',
  'sagScale',
  'freeU',
  'controlImage',
  't2iAdapterImage',
  'ipAdapterImage',
  'ipAdapterImageEmbeds',
] as const;
/** The guider that guidance is without one. */
const PLAIN = 'cfg';

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
  const { steps, guidanceScale, width, height, guider = PLAIN, span } = options;
  const others = OTHERWISE.map((name) => (options as unknown as Record<string, unknown>)[name]);
  const isOther =
    guider !== PLAIN ||
    others.some((value) => value) ||
    Object.values(span).some((value) => value !== undefined);
  if (isOther || guidanceScale === undefined || width === undefined || height === undefined) return undefined;
  const schedulerConfig = fieldsSet(scheduler);
  return { pipeline, scheduler: scheduler.className, schedulerConfig, steps, guidanceScale, width, height };
}

import { invalidArgument } from '../errors.js';
import type { Guidance, PerSample } from '../schedulers/table.js';

/** What a run says of its guidance. */
export interface GuidanceOptions {
  readonly guided: boolean;
  readonly guidance: PerSample;
  readonly guidanceRescale: number;
  readonly guidanceThird?: number | undefined;
  readonly guidanceSchedule?: readonly number[] | undefined;
  readonly cutoffStepIndex?: number | undefined;
  readonly cutoffStepRatio?: number | undefined;
}

/**
 * The guidance of each U-Net call; none for calls that compute the conditional output alone. Undefined: a run without
 * guidance.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what does not fit the number of calls, or has no effect.
 */
export function guidanceOfCalls(
  options: GuidanceOptions,
  calls: number,
): (Guidance | undefined)[] | undefined {
  const { guidanceSchedule: schedule, guidance, guidanceRescale: rescale, guidanceThird: third } = options;
  const last = lastGuided(options, calls);
  if (!options.guided) {
    if (last !== undefined) throw invalidArgument(last.option, 'needs guidance: this run has none');
    if (schedule) throw invalidArgument('guidanceSchedule', 'needs a U-Net that guidance calls twice');
    return undefined;
  }
  if (schedule && schedule.length !== calls) {
    throw invalidArgument(
      'guidanceSchedule',
      `has ${schedule.length} scales, but the run has ${calls} U-Net calls`,
    );
  }
  return Array.from({ length: calls }, (_, call) =>
    last && call > last.call
      ? undefined
      : { scale: schedule?.[call] ?? guidance, rescale, ...(third !== undefined && { third }) },
  );
}

function lastGuided({ cutoffStepIndex: index, cutoffStepRatio: ratio }: GuidanceOptions, calls: number) {
  if (ratio !== undefined) return { option: 'cutoffStepRatio', call: Math.trunc(calls * ratio) };
  if (index === undefined) return undefined;
  if (index < calls) return { option: 'cutoffStepIndex', call: index };
  throw invalidArgument('cutoffStepIndex', `must be below ${calls}, the calls of the run, got ${index}`);
}

import type { PlacedCall } from '../deepcache/policy.js';
import type { CallGuidance } from '../deepcache/programs.js';
import { invalidArgument } from '../errors.js';
import type { CompiledRow } from '../schedulers/compiled.js';
import type { Guidance, PerSample } from '../schedulers/table.js';
import { freeSlot, type GuiderName, type GuiderOptions, guide } from './guiders.js';
import { type PerturbedOptions, perturbs, withPerturbed } from './perturbed.js';
import { degrades, type SelfAttentionOptions, withDegraded } from './self-attention.js';

/** What a run says of its guidance. */
export interface GuidanceOptions extends PerturbedOptions, SelfAttentionOptions {
  readonly guided: boolean;
  readonly guidance: PerSample;
  readonly guidanceRescale: number;
  readonly guidanceThird?: number | undefined;
  readonly guidanceSchedule?: readonly number[] | undefined;
  readonly cutoffStepIndex?: number | undefined;
  readonly cutoffStepRatio?: number | undefined;
  readonly guider?: GuiderName | undefined;
  readonly guiderOptions?: GuiderOptions | undefined;
}

/**
 * The guidance of each U-Net call, and which outputs it computes. Undefined: a run without guidance.
 *
 * @param timesteps of the calls.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for what does not fit the number of calls, or has no effect.
 */
export function guidanceOfCalls(
  options: GuidanceOptions,
  timesteps: readonly number[],
): CallGuidance[] | undefined {
  const calls = timesteps.length;
  const last = lastGuided(options, calls);
  if (!options.guided) {
    requireNothing(options, last?.option);
    const added = addedTo(options);
    return added && timesteps.map((timestep) => added(timestep, undefined));
  }
  const { guidanceSchedule: schedule, guidance, guidanceRescale: rescale, guidanceThird: third } = options;
  if (schedule && schedule.length !== calls) {
    throw invalidArgument(
      'guidanceSchedule',
      `has ${schedule.length} scales, but the run has ${calls} U-Net calls`,
    );
  }
  const guided = guiderOf(options);
  const added = addedTo(options);
  return timesteps.map((timestep, call) => {
    const own = last && call > last.call ? undefined : guided(schedule?.[call] ?? guidance, call, calls);
    if (!own) return { halves: 'conditional' };
    const whole = { ...own, rescale, ...(third !== undefined && { third }) };
    return added ? added(timestep, whole) : whole;
  });
}

/** What adds an output of its own to the guidance of a call. */
function addedTo(options: GuidanceOptions) {
  if (degrades(options)) {
    if (perturbs(options)) throw invalidArgument('sagScale', 'does not go together with pagScale');
    return (_: number, guidance: Guidance | undefined) => withDegraded(options, guidance);
  }
  if (!perturbs(options)) return undefined;
  return (timestep: number, guidance: Guidance | undefined) => withPerturbed(options, timestep, guidance);
}

function lastGuided({ cutoffStepIndex: index, cutoffStepRatio: ratio }: GuidanceOptions, calls: number) {
  if (ratio !== undefined) return { option: 'cutoffStepRatio', call: Math.trunc(calls * ratio) };
  if (index === undefined) return undefined;
  if (index < calls) return { option: 'cutoffStepIndex', call: index };
  throw invalidArgument('cutoffStepIndex', `must be below ${calls}, the calls of the run, got ${index}`);
}

/** Throws for options of a guidance that a run does not have. */
function requireNothing(
  { guidanceSchedule, guider, guiderOptions }: GuidanceOptions,
  cutoff: string | undefined,
) {
  if (cutoff !== undefined) throw invalidArgument(cutoff, 'needs guidance: this run has none');
  if (guidanceSchedule) throw invalidArgument('guidanceSchedule', 'needs a U-Net that guidance calls twice');
  const given = guider !== undefined && guider !== 'cfg' ? 'guider' : guiderOptions && 'guiderOptions';
  if (given) throw invalidArgument(given, 'needs guidance: this run has none');
}

/** The guidance of a call at a scale, without its rescaling; undefined: none. */
function guiderOf(options: GuidanceOptions) {
  const { guider = 'cfg', guiderOptions } = options;
  if (guider === 'cfg' && !guiderOptions) return (scale: PerSample) => ({ scale });
  if (perturbs(options) && guider !== 'cfg') {
    throw invalidArgument('guider', `${guider} does not go together with pagScale`);
  }
  return (scale: PerSample, call: number, calls: number) =>
    guide(guider, guiderOptions ?? {}, scale as number, call, calls);
}

/** The same with a slot for what rules with momentum keep, if there are such. */
export function withAverage(
  guidance: CallGuidance[] | undefined,
  { rows, calls }: { rows: readonly CompiledRow[]; calls: readonly PlacedCall[] },
): CallGuidance[] | undefined {
  const keeps = (own: CallGuidance): own is Guidance & { rule: NonNullable<Guidance['rule']> } =>
    'rule' in own && own.rule?.momentum !== undefined;
  if (!guidance?.some(keeps)) return guidance;
  const predicted = calls.flatMap((call) => (call.kind === 'predict' ? call.terms : []));
  const average = freeSlot(rows, predicted);
  return guidance.map((own) => (keeps(own) ? { ...own, rule: { ...own.rule, average } } : own));
}

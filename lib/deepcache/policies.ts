import { invalidArgument } from '../errors.js';
import { validateBranch } from './branches.js';
import { type Gate, gateOf, withGate } from './gate.js';
import { sampleFromQuadCenter, sampleFromQuadOnce } from './nonuniform.js';
import { plannedCalls, retrieveCall } from './plan.js';
import type { CachePolicy, CallPlan, Layout, PolicyRun } from './policy.js';
import { type CacheOptions, type CacheSettings, requireInterval, resolveCache } from './settings.js';

const DEFAULT_POWER = 1.4;
const DEFAULT_CENTER = 0.3;

/** The policy of the `cache` option: full calls at places that are known before the run, the others retrieve. */
export class SettingsPolicy implements CachePolicy {
  /** The settings. */
  readonly options: CacheOptions;

  constructor(options: CacheOptions) {
    this.options = options;
  }

  /** As {@link CachePolicy.layout}; with the branch of the settings. */
  layout(run: PolicyRun): Layout & { branch: number } {
    const { settings, note } = resolveCache(this.options, run.timesteps.length);
    // One level with that many layers has as many branches.
    const branch = validateBranch(settings?.branch ?? 0, 1, run.branches - 1);
    const gate = gateOf(settings, run);
    const calls = this.#calls(settings, run, branch, gate);
    return { calls: gate ? withGate(calls, gate) : calls, branch, ...(note !== undefined && { note }) };
  }

  #calls(
    settings: CacheSettings | null,
    run: PolicyRun,
    branch: number,
    gate: Gate | undefined,
  ): readonly CallPlan[] {
    if (settings?.plan !== undefined) return plannedCalls(settings, branch);
    const full = settings ? new Set(this.#fullCalls(settings, run, gate)) : undefined;
    const retrieve = retrieveCall(branch, settings?.featureDamping);
    return run.timesteps.map(
      (_, i): CallPlan => (!full || i === 0 || full.has(i) ? { kind: 'full' } : retrieve),
    );
  }

  /** At a gate the cache begins anew, with a full call before it and one behind it. */
  #fullCalls(settings: CacheSettings, run: PolicyRun, gate: Gate | undefined): readonly number[] {
    if (!gate) return this.fullCalls(settings, run);
    const { call } = gate;
    const { timesteps } = run;
    const around = [call - 1, call];
    if (settings.interval === undefined || settings.schedule === 'nonuniform' || call >= timesteps.length) {
      return [...this.fullCalls(settings, run), ...around];
    }
    const part = (from: number, to?: number) =>
      this.fullCalls(settings, { ...run, timesteps: timesteps.slice(from, to) }).map((i) => i + from);
    return [...part(0, call).filter((i) => i < call), ...around, ...part(call)];
  }

  /** The indices of the full calls; the first one is full in any case. */
  protected fullCalls(
    settings: CacheSettings,
    { timesteps, schedulerTimesteps }: PolicyRun,
  ): readonly number[] {
    const calls = timesteps.length;
    if (settings.steps) return settings.steps;
    const interval = settings.interval as number;
    if (settings.schedule === 'nonuniform' && interval > 1) {
      const { center = Math.floor(DEFAULT_CENTER * calls), power = DEFAULT_POWER } = settings;
      return sampleFromQuadCenter(calls, Math.ceil(calls / interval), center, power).indices;
    }
    const indices =
      settings.counter === 'helper'
        ? helperIndices(timesteps, schedulerTimesteps)
        : timesteps.map((_, i) => i);
    const start = indices[0] ?? 0;
    return indices.flatMap((index, i) => ((index - start) % interval === 0 ? [i] : []));
  }
}

/**
 * As the paper's DDPM program does it: it counts to the number of steps that was asked for. Where the sampler makes more
 * calls, those are retrieve steps.
 */
export class DdpmPolicy extends SettingsPolicy {
  /** Steps that were asked for. */
  readonly numInferenceSteps: number;

  constructor(options: CacheOptions, numInferenceSteps: number) {
    super(options);
    this.numInferenceSteps = numInferenceSteps;
  }

  protected override fullCalls(settings: CacheSettings, run: PolicyRun): readonly number[] {
    const { interval = 1, schedule, power = DEFAULT_POWER, steps, counter } = settings;
    if (steps || interval === 1 || counter === 'helper') return super.fullCalls(settings, run);
    const { center = Math.floor(DEFAULT_CENTER * this.numInferenceSteps) } = settings;
    const nonuniform = schedule === 'nonuniform' ? { center, power } : undefined;
    return paperSchedule(this.numInferenceSteps, interval, nonuniform);
  }
}

/**
 * As the paper's latent diffusion program does it: its non-uniform schedule has no center and is densest at the first
 * call. With a `center` it is the one of the other programs.
 */
export class LatentPolicy extends SettingsPolicy {
  protected override fullCalls(settings: CacheSettings, run: PolicyRun): readonly number[] {
    const { interval = 1, schedule, center, power = DEFAULT_POWER } = settings;
    if (schedule !== 'nonuniform' || interval === 1 || center !== undefined) {
      return super.fullCalls(settings, run);
    }
    const calls = run.timesteps.length;
    return sampleFromQuadOnce(calls, Math.ceil(calls / interval), power);
  }
}

/**
 * Which U-Net calls of a run are full: `timesteps` are those of the calls that are run, `schedulerTimesteps` the
 * scheduler's whole list (image to image starts inside of it), which the helper counter searches. The first call is
 * always full. Nothing is remembered from earlier runs.
 */
export function fullCalls(
  options: CacheOptions,
  timesteps: readonly number[],
  schedulerTimesteps: readonly number[] = timesteps,
): boolean[] {
  // Which branches there are makes no difference.
  const run = { timesteps, schedulerTimesteps, branches: Number.POSITIVE_INFINITY };
  return new SettingsPolicy(options).layout(run).calls.map(({ kind }) => kind === 'full');
}

/**
 * The step index that DeepCacheSDHelper finds for each call: the first place of its timestep in the scheduler's list.
 * PNDM and Heun visit timesteps twice, so indices repeat and skip.
 */
export function helperIndices(timesteps: readonly number[], schedulerTimesteps: readonly number[]): number[] {
  return timesteps.map((timestep) => {
    const index = schedulerTimesteps.indexOf(timestep);
    if (index < 0)
      throw invalidArgument('timesteps', `contains ${timestep}, which the scheduler's list does not`);
    return index;
  });
}

/**
 * The full calls of the paper's pipelines, as a list for the `steps` option. They count the loop from 0 to the number
 * of inference steps, not of calls: a call beyond (PNDM's last one) is never full. With `center` and `power` the list
 * is the non-uniform one.
 */
export function paperSchedule(
  numInferenceSteps: number,
  interval: number,
  nonuniform?: { center: number; power: number },
): number[] {
  requireInterval(interval);
  if (!Number.isInteger(numInferenceSteps) || numInferenceSteps < 1) {
    throw invalidArgument(
      'numInferenceSteps',
      `must be a whole number of at least 1, got ${numInferenceSteps}`,
    );
  }
  const count = Math.ceil(numInferenceSteps / interval);
  if (!nonuniform || interval === 1) return Array.from({ length: count }, (_, i) => i * interval);
  return sampleFromQuadCenter(numInferenceSteps, count, nonuniform.center, nonuniform.power).indices;
}

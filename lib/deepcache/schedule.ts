import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames, closest } from '../names.js';
import { MAX_POWER, sampleFromQuadCenter, sampleFromQuadOnce } from './nonuniform.js';

/** Every so many U-Net calls a full one. */
export interface UniformCache {
  /** Every interval-th U-Net call is a full one, from 1, which is no cache. */
  interval: number;
  /** How deep a retrieve step goes: 0, the default, runs the least. See validateBranch for the range. */
  branch?: number;
  /** The default. */
  schedule?: 'uniform';
  /**
   * `calls`, the default, counts U-Net calls. `helper` counts like DeepCacheSDHelper of the original project, which
   * looks up the timestep in the scheduler's list and so miscounts repeated ones; for reproducing its images.
   */
  counter?: 'calls' | 'helper';
  center?: never;
  power?: never;
  steps?: never;
}

/** As many full calls, closer together around one of them: the paper's non-uniform schedule. */
export interface NonuniformCache {
  /** The run has as many full calls as if every interval-th was one. */
  interval: number;
  /** As in {@link UniformCache}. */
  branch?: number;
  /** What tells it from {@link UniformCache}. */
  schedule: 'nonuniform';
  /** The call around which full calls are densest, from 0; by default at 30 % of the run. */
  center?: number;
  /** How strongly they gather, above 1; 1.4 by default. */
  power?: number;
  /** `helper` is for uniform schedules. */
  counter?: 'calls';
  steps?: never;
}

/** The full calls themselves. */
export interface ListedCache {
  /** U-Net calls that are full, ascending from 0. Call 0 is full whether it is listed or not. */
  steps: readonly number[];
  /** As in {@link UniformCache}. */
  branch?: number;
  interval?: never;
  schedule?: never;
  center?: never;
  power?: never;
  counter?: never;
}

/** DeepCache by its settings: which U-Net calls are full, and how deep the others go. */
export type CacheSettings = UniformCache | NonuniformCache | ListedCache;

/** Settings by name, see {@link CACHE_PRESETS}. */
export type CachePreset = 'quality' | 'balanced' | 'fast';

/** false: no cache. */
export type CacheOptions = false | CachePreset | CacheSettings;

/**
 * Branch 0 and whole intervals: they suit every model and number of steps. Measured with the demo model (25 DDIM steps,
 * 200 captions): 36.1 dB PSNR at 1.67 times the speed, 34.3 dB at 2.17, 33.3 dB at 3.11; most pictures stay near 48 dB,
 * and one in some twenty shows another composition, which is what the means tell. What the captions ask for is in the
 * pictures as often as without a cache. Deeper branches come closer to the uncached result, but are slower: interval 5 of branch 1 is 1.9 times as
 * fast as no cache, of branch 0 3.0 times (bench/results/quality-demo-2026-11-24.md).
 */
export const CACHE_PRESETS: Readonly<Record<CachePreset, { interval: number; branch: number }>> = {
  quality: { interval: 2, branch: 0 },
  balanced: { interval: 3, branch: 0 },
  fast: { interval: 5, branch: 0 },
};

/** Runs of this many calls or fewer change too much per call for a preset. */
export const FEW_CALLS = 8;

/** Settings that were checked; `note` says in words why a preset was not followed. */
export interface ResolvedCache {
  /** null: every call is full. */
  settings: (CacheSettings & { branch: number }) | null;
  /** Why a preset was not followed. */
  note?: string;
}

const KEYS = ['interval', 'branch', 'schedule', 'center', 'power', 'steps', 'counter'];
const DEFAULT_POWER = 1.4;
const DEFAULT_CENTER = 0.3;

/**
 * Checks cache options for a run of `calls` U-Net calls (the branch is left to validateBranch).
 * Throws ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export function resolveCache(options: CacheOptions, calls: number): ResolvedCache {
  if (options === false) return { settings: null };
  if (typeof options === 'string') {
    if (!Object.hasOwn(CACHE_PRESETS, options)) {
      const meant = closest(options, Object.keys(CACHE_PRESETS));
      throw invalidArgument(
        'cache',
        `must be 'quality', 'balanced', 'fast', false or an object, got ${show(options)}` +
          (meant === undefined ? '' : `; did you mean '${meant}'?`),
      );
    }
    if (calls > FEW_CALLS) return { settings: { ...CACHE_PRESETS[options] } };
    const note = `cache '${options}' is not used: with ${calls} U-Net calls every one changes the picture; set an interval to cache all the same`;
    return { settings: null, note };
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidArgument('cache', `must be 'quality', 'balanced', 'fast', false or an object`);
  }
  requireSettings(options, calls);
  return { settings: { ...options, branch: options.branch ?? 0 } };
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
  const calls = timesteps.length;
  const { settings } = resolveCache(options, calls);
  if (!settings) return timesteps.map(() => true);
  if (settings.steps) return fromList(settings.steps, calls);
  const interval = settings.interval as number;
  if (settings.schedule === 'nonuniform' && interval > 1) {
    const { center = Math.floor(DEFAULT_CENTER * calls), power = DEFAULT_POWER } = settings;
    return fromList(sampleFromQuadCenter(calls, Math.ceil(calls / interval), center, power).indices, calls);
  }
  const indices =
    settings.counter === 'helper' ? helperIndices(timesteps, schedulerTimesteps) : timesteps.map((_, i) => i);
  const start = indices[0] ?? 0;
  return indices.map((index) => (index - start) % interval === 0);
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

/**
 * The full calls of the paper's DDPM program. It counts to the number of steps that was asked for: where the sampler
 * makes more calls, those are retrieve steps.
 */
export function ddpmFullCalls(
  options: CacheOptions,
  timesteps: readonly number[],
  numInferenceSteps: number,
): boolean[] {
  const calls = timesteps.length;
  const { settings } = resolveCache(options, calls);
  if (!settings || settings.steps || settings.interval === 1 || settings.counter === 'helper') {
    return fullCalls(options, timesteps);
  }
  const { interval = 1, schedule, power = DEFAULT_POWER } = settings;
  const { center = Math.floor(DEFAULT_CENTER * numInferenceSteps) } = settings;
  const nonuniform = schedule === 'nonuniform' ? { center, power } : undefined;
  return fromList(paperSchedule(numInferenceSteps, interval, nonuniform), calls);
}

/**
 * The full calls of the paper's latent diffusion program: its non-uniform schedule has no center and is densest at the
 * first call. With a `center` it is the one of the other programs.
 */
export function latentFullCalls(options: CacheOptions, timesteps: readonly number[]): boolean[] {
  const { settings } = resolveCache(options, timesteps.length);
  const { interval = 1, schedule, center, power = DEFAULT_POWER } = settings ?? {};
  if (schedule !== 'nonuniform' || interval === 1 || center !== undefined) {
    return fullCalls(options, timesteps);
  }
  const calls = timesteps.length;
  return fromList(sampleFromQuadOnce(calls, Math.ceil(calls / interval), power), calls);
}

function fromList(steps: readonly number[], calls: number): boolean[] {
  const full = new Set(steps);
  return Array.from({ length: calls }, (_, i) => i === 0 || full.has(i));
}

function requireSettings(settings: CacheSettings, calls: number): void {
  checkNames(settings, KEYS, 'cache.');
  const { branch = 0, schedule = 'uniform', counter = 'calls' } = settings;
  if (!Number.isInteger(branch) || branch < 0) {
    throw invalidArgument('cache.branch', `must be a whole number of at least 0, got ${show(branch)}`);
  }
  if (schedule !== 'uniform' && schedule !== 'nonuniform') {
    throw invalidArgument('cache.schedule', `must be 'uniform' or 'nonuniform', got ${show(schedule)}`);
  }
  if (counter !== 'calls' && counter !== 'helper') {
    throw invalidArgument('cache.counter', `must be 'calls' or 'helper', got ${show(counter)}`);
  }
  if (schedule === 'uniform') refuse(settings, ['center', 'power'], "needs schedule 'nonuniform'");
  if (settings.steps !== undefined) {
    refuse(settings, ['interval', 'schedule', 'counter'], 'cannot be used together with steps');
    requireList(settings.steps, calls);
    return;
  }
  if (settings.interval === undefined) throw invalidArgument('cache', 'needs an interval or a list of steps');
  requireInterval(settings.interval, 'cache.interval');
  if (counter === 'helper' && schedule === 'nonuniform') {
    throw invalidArgument('cache.counter', "'helper' knows the uniform schedule only");
  }
  if (schedule === 'nonuniform') requireNonuniform(settings, calls);
}

function requireNonuniform({ center, power }: CacheSettings, calls: number): void {
  if (center !== undefined && !(Number.isInteger(center) && center >= 0 && center <= calls)) {
    const range = `must be a call from 0 to ${calls}`;
    throw invalidArgument('cache.center', `${range} (the run has ${calls} U-Net calls), got ${show(center)}`);
  }
  if (power !== undefined && !(typeof power === 'number' && power > 1 && power <= MAX_POWER)) {
    const range = `must be a number above 1 and at most ${MAX_POWER}`;
    throw invalidArgument('cache.power', `${range}, got ${show(power)}`);
  }
}

function refuse(settings: CacheSettings, keys: readonly (keyof CacheSettings)[], why: string): void {
  for (const key of keys) {
    if (settings[key] !== undefined) throw invalidArgument(`cache.${key}`, why);
  }
}

function requireInterval(interval: unknown, name = 'interval'): void {
  if (Number.isInteger(interval) && (interval as number) >= 1) return;
  throw invalidArgument(name, `must be a whole number of at least 1, got ${show(interval)}`);
}

function requireList(steps: unknown, calls: number): void {
  if (!Array.isArray(steps) || steps.length === 0) {
    throw invalidArgument('cache.steps', 'must be a list of at least one call');
  }
  for (const [i, step] of steps.entries()) {
    if (!Number.isInteger(step) || step < 0 || step >= calls) {
      const range = `must be a call from 0 to ${calls - 1}`;
      throw invalidArgument(
        `cache.steps[${i}]`,
        `${range} (the run has ${calls} U-Net calls), got ${show(step)}`,
      );
    }
    if (i > 0 && step <= steps[i - 1])
      throw invalidArgument('cache.steps', 'must be ascending, without repetitions');
  }
}

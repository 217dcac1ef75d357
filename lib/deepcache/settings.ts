import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames, closest } from '../names.js';
import { GATE_KEYS, type GateSettings, requireGate } from './gate.js';
import { MAX_POWER } from './nonuniform.js';
import { FACTORS, type PlannedCache, requirePlan, requireShare } from './plan.js';

/** Every so many U-Net calls a full one. */
export interface UniformCache extends GateSettings {
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
  /**
   * 0 to 1: retrieve steps carry on so much of the change of their feature between the last two full calls, on a straight
   * line over the angle of the noise level. 0, the default, holds the last one's, as DeepCache does.
   */
  featureDamping?: number;
  center?: never;
  power?: never;
  steps?: never;
  plan?: never;
  gamma?: never;
  curve?: never;
  clean?: never;
  noise?: never;
  damping?: never;
}

/** As many full calls, closer together around one of them: the paper's non-uniform schedule. */
export interface NonuniformCache extends GateSettings {
  /** The run has as many full calls as if every interval-th was one. */
  interval: number;
  /** As in {@link UniformCache}. */
  branch?: number;
  /** What distinguishes it from {@link UniformCache}. */
  schedule: 'nonuniform';
  /** The call around which full calls are densest, from 0; by default at 30 % of the run. */
  center?: number;
  /** How strongly they gather, above 1; 1.4 by default. */
  power?: number;
  /** `helper` is for uniform schedules. */
  counter?: 'calls';
  /** As in {@link UniformCache}. */
  featureDamping?: number;
  steps?: never;
  plan?: never;
  gamma?: never;
  curve?: never;
  clean?: never;
  noise?: never;
  damping?: never;
}

/** The full calls themselves. */
export interface ListedCache extends GateSettings {
  /** U-Net calls that are full, ascending from 0. Call 0 is full whether it is listed or not. */
  steps: readonly number[];
  /** As in {@link UniformCache}. */
  branch?: number;
  /** As in {@link UniformCache}. */
  featureDamping?: number;
  interval?: never;
  schedule?: never;
  center?: never;
  power?: never;
  counter?: never;
  plan?: never;
  gamma?: never;
  curve?: never;
  clean?: never;
  noise?: never;
  damping?: never;
}

/** DeepCache by its settings: which U-Net calls are full, and how deep the others go. */
export type CacheSettings = UniformCache | NonuniformCache | ListedCache | PlannedCache;

/** Settings by name, see {@link CACHE_PRESETS}. */
export type CachePreset = 'quality' | 'balanced' | 'fast';

/** false: no cache. */
export type CacheOptions = false | CachePreset | CacheSettings;

/**
 * How much presets compute: branch 0 and whole intervals, which suit every model and number of steps. In runs that were
 * measured they stand for as many full calls elsewhere (docs/quality.md, "What presets stand for"), in those that a model has a
 * plan for, for the plan. As intervals, measured with the demo model (25 DDIM steps,
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

/** The fields of settings. */
export const CACHE_KEYS = [
  'interval',
  'branch',
  'schedule',
  'center',
  'power',
  'steps',
  'counter',
  'plan',
  ...FACTORS,
  'damping',
  'featureDamping',
  ...GATE_KEYS,
] as const;

/** Throws for what is neither false nor a preset nor settings, whose fields depend on the run. */
export function requireCacheOptions(name: string, options: unknown): asserts options is CacheOptions {
  const presets = Object.keys(CACHE_PRESETS);
  if (options === false || (typeof options === 'string' && presets.includes(options))) return;
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  const meant = typeof options === 'string' ? closest(options, presets) : undefined;
  throw invalidArgument(
    name,
    `must be ${presets.map((preset) => `'${preset}'`).join(', ')}, false or an object, got ${show(options)}` +
      (meant === undefined ? '' : `; did you mean '${meant}'?`),
  );
}

/**
 * Checks cache options for a run of `calls` U-Net calls (the branch is left to validateBranch).
 * Throws ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export function resolveCache(options: CacheOptions, calls: number): ResolvedCache {
  requireCacheOptions('cache', options);
  if (options === false) return { settings: null };
  if (typeof options === 'string') {
    if (calls > FEW_CALLS) return { settings: { ...CACHE_PRESETS[options] } };
    const note = `cache '${options}' is not used: with ${calls} U-Net calls every one changes the picture; set an interval to cache all the same`;
    return { settings: null, note };
  }
  requireSettings(options, calls);
  return { settings: { ...options, branch: options.branch ?? 0 } };
}

function requireSettings(settings: CacheSettings, calls: number): void {
  checkNames(settings, CACHE_KEYS, 'cache.');
  const { branch = 0, schedule = 'uniform', counter = 'calls' } = settings;
  if (!Number.isInteger(branch) || branch < 0) {
    throw invalidArgument('cache.branch', `must be a whole number of at least 0, got ${show(branch)}`);
  }
  requireShare(settings.featureDamping, 'cache.featureDamping');
  if (schedule !== 'uniform' && schedule !== 'nonuniform') {
    throw invalidArgument('cache.schedule', `must be 'uniform' or 'nonuniform', got ${show(schedule)}`);
  }
  if (counter !== 'calls' && counter !== 'helper') {
    throw invalidArgument('cache.counter', `must be 'calls' or 'helper', got ${show(counter)}`);
  }
  requireGate(settings);
  if (settings.plan !== undefined) {
    refuse(
      settings,
      ['interval', 'schedule', 'center', 'power', 'steps', 'counter'],
      'cannot be used together with plan',
    );
    requirePlan(settings, calls);
    return;
  }
  refuse(settings, [...FACTORS, 'damping'], 'needs a plan with predicted calls');
  if (schedule === 'uniform') refuse(settings, ['center', 'power'], "needs schedule 'nonuniform'");
  if (settings.steps !== undefined) {
    refuse(settings, ['interval', 'schedule', 'counter'], 'cannot be used together with steps');
    requireList(settings.steps, calls);
    return;
  }
  if (settings.interval === undefined)
    throw invalidArgument('cache', 'needs an interval, a list of steps or a plan');
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

export function requireInterval(interval: unknown, name = 'interval'): void {
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

import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { withSeeds } from '../pipelines/inputs/seeds.js';
import type { StepEvent } from '../pipelines/outputs/result.js';
import { Comparison } from './comparison.js';
import { computedMacs } from './computed-macs.js';
import {
  branchOf,
  type CompareSettings,
  DEFAULT_SETTINGS,
  type NamedSetting,
  nameSettings,
} from './settings.js';
import { speedupsOf } from './speedup.js';
import { type ComparablePipeline, type TimedRun, TimedRuns } from './timed-runs.js';

const OWN = ['cache', 'output', 'onStep', 'previewEvery', 'latentsEvery'] as const;

/** Options of a pipeline's runs, without what `compare` decides itself. */
export type RunOptions<Options> = Options extends unknown ? Omit<Options, (typeof OWN)[number]> : never;

/** How settings are compared. */
export interface CompareOptions {
  /**
   * How often each setting is run; the times are those of the run with the median time. By default short runs are
   * made three to five times, others once.
   */
  repeats?: number;
  /** Called after every U-Net call, except those that warm up. What it throws, or the rejection of a promise that it returns, ends it all. */
  onProgress?: (event: CompareEvent) => unknown;
}

/** Runs that end sooner than this many seconds are repeated, the shortest most often, unless the caller says how often. */
const SHORT_SECONDS = 2;
const SHORT_REPEATS = { least: 3, most: 5 };

/** Where a comparison stands. */
export interface CompareEvent {
  /** The setting that is run. */
  name: string;
  /** Its run, from 1 to `runs`, which grows when short runs are going to be repeated. */
  run: number;
  /** Runs in all, so far as is known. */
  runs: number;
  /** Where that run stands. */
  event: StepEvent;
}

/**
 * Makes the same pictures without a cache and with each setting, and measures how they differ and what they took.
 *
 * Works with every pipeline of this package: `options` are those of its `generate`. Without a seed one is drawn, and
 * used for all. Times do not depend on the order: every run starts on a pipeline that has just executed two calls of
 * its size and branch, rounds of all settings are made in turn, and every second one goes backwards. Speedups are of the
 * denoising time alone, each against the uncached run of its round; reading the prompt and decoding take the same with
 * all settings. {@link ComparedRun.isNoisy} says when the machine was too busy for them to mean anything.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, also for settings that the run cannot have, before any of them
 * is run; what the pipeline's `generate` throws; the signal's reason after an abort.
 */
export async function compare<Options extends GenerateOptions>(
  pipe: ComparablePipeline<Options>,
  options: RunOptions<Options>,
  settings: CompareSettings = DEFAULT_SETTINGS,
  comparing: CompareOptions = {},
): Promise<Comparison> {
  checkNames(comparing, ['repeats', 'onProgress']);
  const { repeats, onProgress } = comparing;
  if (typeof pipe?.generate !== 'function' || !pipe.unet) {
    throw invalidArgument('pipe', 'must be a pipeline with a U-Net that caches');
  }
  if (repeats !== undefined && !(Number.isInteger(repeats) && repeats >= 1)) {
    throw invalidArgument('repeats', `must be a whole number of at least 1, got ${show(repeats)}`);
  }
  const all: NamedSetting[] = [{ name: 'no cache', cache: false }, ...nameSettings(settings)];
  const given = withSeeds(checkOptions(options) as Options);

  const timed = new TimedRuns(pipe, given);
  const calls = await timed.warmUp(0);
  const branches = all.map((setting) => branchOf(setting, calls, pipe.unet));

  const results: TimedRun[][] = all.map(() => []);
  let rounds = repeats ?? 1;
  for (let round = 0, run = 0; round < rounds; round++) {
    const order = [...all.keys()];
    if (round % 2 === 1) order.reverse();
    for (const i of order) {
      const { name, cache } = all[i] as NamedSetting;
      const event = { name, run: ++run, runs: rounds * all.length };
      const report = (call: StepEvent) => onProgress?.({ ...event, event: call });
      results[i]?.push(await timed.run(cache, branches[i], calls, report));
    }
    const longest = Math.max(...results.map(([first]) => (first as TimedRun).stats.times.denoise));
    if (round === 0 && repeats === undefined && longest < SHORT_SECONDS) {
      rounds = Math.min(
        SHORT_REPEATS.most,
        Math.max(SHORT_REPEATS.least, Math.ceil(SHORT_SECONDS / longest)),
      );
    }
  }
  const references = results[0] as TimedRun[];
  const runs = all.map((setting, i) => {
    const own = results[i] as TimedRun[];
    const speedups = own.map(({ stats }, round) => speedupsOf((references[round] as TimedRun).stats, stats));
    return { ...setting, ...medianRun(own), speedups };
  });
  const macs: number[] = [];
  for (const { stats } of runs) macs.push(await computedMacs(pipe.unet, stats.computed));
  return new Comparison(runs, { options: given, device: pipe.device, macs });
}

function checkOptions(options: object): object {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'must be an object');
  for (const name of OWN) {
    if (!Object.hasOwn(options, name)) continue;
    const why = name === 'cache' ? 'belongs in the settings to compare' : 'is decided by compare';
    throw invalidArgument(name, why);
  }
  return options;
}

/** Of runs that made the same pictures, the one with the median time (of an even number the faster middle one). */
function medianRun(runs: readonly TimedRun[]): TimedRun {
  const sorted = [...runs].sort((a, b) => a.stats.times.denoise - b.stats.times.denoise);
  return sorted[Math.floor((sorted.length - 1) / 2)] as TimedRun;
}

import { Callbacks } from '../callbacks.js';
import { type SpeedupSpread, spreadOf } from '../compare/speedup.js';
import { CACHE_PRESETS, type ListedCache, type PlannedCache } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import { Journal } from '../files/journal.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { drawSeed, isRandom } from '../pipelines/inputs/seeds.js';
import type { PlannedRun } from '../plans/saved-plan.js';
import type { Tried, TuneBudget } from './budget.js';
import { Decision, figures, type TuneFigures } from './decision.js';
import { cacheOf, candidateOf, type Schedule } from './schedule.js';
import { FINALISTS, Search } from './search.js';
import { OutOfTime, Trials, type TunablePipeline } from './trials.js';

/** What the search is given. */
export interface TuneOptions {
  /** Prompts that are searched with, and others that the result is tried on. */
  prompts: readonly string[];
  /** Prompts that the search does not see, to measure how well its result holds for others. */
  validationPrompts: readonly string[];
  /** Seeds count up from it; validation goes on behind. Default 0; -1 is a random one. */
  seed?: number;
  /** Branches that are searched. Default 0 to 3, as far as the U-Net has them. */
  branches?: readonly number[];
  /** Whether schedules that predict calls are searched, too, where the sampler can. Default true. */
  predict?: boolean;
  /** A file that keeps what was measured: the same call goes on from there, with another budget, too. */
  resume?: string;
  /** Ends the search, with the best so far, after so many runs of all prompts. Default 500. */
  maxRuns?: number;
  /** Seconds that all may take; the search leaves some of them to trying its result on other prompts. Default 300. */
  maxSeconds?: number;
  /** Ends the search at once, with the best so far, which is not tried on other prompts then. */
  stop?: AbortSignal;
  /** Called after every run. What it throws, or the rejection of a promise that it returns, ends the search. */
  onProgress?: (event: TuneEvent) => unknown;
}

const NAMES = [
  'prompts',
  'validationPrompts',
  'seed',
  'branches',
  'predict',
  'maxRuns',
  'maxSeconds',
  'resume',
  'stop',
  'onProgress',
];

/** After a run. */
export interface TuneEvent {
  /** What is done. */
  phase: 'measuring' | 'search' | 'validation';
  /** Runs and seconds of the search so far. */
  runs: number;
  /** Seconds since the beginning. */
  seconds: number;
  /** What is run. */
  schedule: Schedule;
  /** Unknown for runs that measure. */
  psnr?: number;
}

/** What the search found. */
export interface TuneResult extends SpeedupSpread {
  /** The option to use: its full calls and a branch, or a plan. */
  cache: ListedCache | PlannedCache;
  /** The runs that it was found for, as plans name them; undefined for those that no plan can be for. */
  run: PlannedRun | undefined;
  /** From the times of single calls; the range is that of whole runs. */
  speedup: number;
  /** Whether the budget holds on the tuning prompts; when not, this is the nearest that was found. */
  isWithin: boolean;
  /** The best of the presets and equal intervals that fit the budget; the result is never worse than it. */
  even: { steps: number[]; branch: number; featureDamping?: number; speedup: number };
  /** Runs and seconds of the search, and whether it was cut short. */
  runs: number;
  /** Seconds that it took. */
  seconds: number;
  /** Whether time or runs ended before the search did. */
  isCutShort: boolean;
  /** On the prompts that were searched with. */
  tuning: TuneFigures;
  /** On prompts and seeds that the search has not seen; undefined when there was no time for them. */
  validation: TuneFigures | undefined;
  /**
   * On the same prompts as `validation`, as many steps as take that time, all in full; undefined when there was no time, and for
   * steps of your own.
   */
  fewerSteps: { steps: number; psnr: number; worst: number } | undefined;
}

const DEFAULT_BRANCHES = [0, 1, 2, 3];
/** The longest that Node.js' timers can wait for, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;
/** Share of runs and seconds that measuring gaps may take. */
const MEASURING = 0.6;
/** Runs that trying the result takes, of the same prompts and of others, and the share of all seconds kept for them. */
const AGAIN_RUNS = FINALISTS + 3;
const OTHERS_RUNS = 4;
const VALIDATION = 0.4;

/**
 * Searches for the fastest schedule within a budget, or the one closest to the uncached result, see {@link Search}. The presets and equal intervals that
 * fit the budget are tried first. The best few of the same time, and evenly spaced full calls, are run once more with
 * other noise: a list that was merely lucky with the first noise drops out. Then prompts that the search has not seen decide between the
 * result and the best even setting. All PSNR is measured, with all prompts in one run; time follows from the
 * seconds of calls.
 *
 * ```ts
 * const { cache, speedup, validation } = await tune(pipe, {}, { minPsnr: 30 }, { prompts, validationPrompts });
 * await pipe.generate({ prompt, cache });
 * ```
 *
 * @param options those of the pipeline's `generate`, without prompts, seeds and cache.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, also when the time was over before anything was tried; what
 * `generate` throws, the signal's reason after an abort.
 */
export async function tune(
  pipe: TunablePipeline,
  options: GenerateOptions,
  budget: TuneBudget,
  tuning: TuneOptions,
): Promise<TuneResult> {
  checkBudget(budget);
  checkNames(tuning, NAMES);
  const seed = tuning.seed !== undefined && isRandom(tuning.seed) ? drawSeed() : (tuning.seed ?? 0);
  const { prompts, validationPrompts, maxRuns = 500, maxSeconds = 300, stop, onProgress } = tuning;
  for (const [name, list] of Object.entries({ prompts, validationPrompts })) {
    if (list.length === 0) throw invalidArgument(name, 'must be at least one');
  }
  if (!(maxSeconds > 0)) throw invalidArgument('maxSeconds', `must be above 0, got ${show(maxSeconds)}`);
  /** How much longer runs of the other prompts take. */
  const ratio = validationPrompts.length / prompts.length;
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  const timeout = AbortSignal.timeout(Math.min(1000 * maxSeconds, MAX_TIMEOUT));
  const end = stop ? AbortSignal.any([stop, timeout]) : timeout;
  let phase: TuneEvent['phase'] = 'search';
  let isCutShort = false;
  let searchSeconds = maxSeconds;
  const isOver = () => {
    const share = phase === 'measuring' ? MEASURING : 1;
    const over = end.aborted || trials.runs >= share * maxRuns || seconds() >= share * searchSeconds;
    isCutShort ||= over;
    return over;
  };
  const callbacks = new Callbacks();
  const onRun = (schedule: Schedule, psnr?: number) => {
    const event = { phase, runs: trials.runs, seconds: seconds(), schedule };
    callbacks.run(() => onProgress?.({ ...event, ...(psnr !== undefined && { psnr }) }));
    callbacks.throwIfFailed();
  };
  const run = (list: readonly string[], first: number): GenerateOptions => ({
    ...options,
    prompt: [...list],
    seeds: list.map((_, i) => first + i),
  });
  /** Whether all of it was done in time. */
  const inTime = async (work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error;
      isCutShort = true;
      return false;
    }
  };

  const branches = tuning.branches ?? DEFAULT_BRANCHES.filter((branch) => hasBranch(pipe, branch));
  if (branches.length === 0) throw invalidArgument('branches', 'must be at least one');
  for (const branch of branches) pipe.unet.validateBranch(branch);
  const { signal: _, ...told } = options;
  await using journal =
    tuning.resume === undefined
      ? undefined
      : await Journal.open<unknown>(tuning.resume, {
          ...{ tune: pipe.model, options: told, prompts, validationPrompts, seed },
        });
  const kept = (name: string) => (journal ? { journal, name } : undefined);
  const speedupOf = (schedule: Schedule) => trials.speedup(candidateOf(schedule));
  const trials: Trials = new Trials(pipe, run(prompts, seed), { isOver, onRun, end }, kept('tuning'));
  const planned = pipe.plannedRun(run(prompts, seed));
  const forecasts = tuning.predict !== false && pipe.vae !== undefined;
  const search = new Search(trials, budget, branches, forecasts, planned);
  await inTime(async () => {
    await trials.start();
    const reserve = (AGAIN_RUNS + OTHERS_RUNS * ratio) * seconds();
    searchSeconds = maxSeconds - Math.min(VALIDATION * maxSeconds, reserve);
    await search.start();
    phase = 'measuring';
    await search.measureForecasts();
    phase = 'search';
    await search.runPredictions();
    phase = 'measuring';
    await search.measureGaps();
    phase = 'search';
    await search.run();
  });
  const { tries } = search;
  const [found, even] = [tries.answer(), tries.even];
  if (!found || !even) {
    stop?.throwIfAborted();
    throw invalidArgument(
      'maxSeconds',
      `of ${maxSeconds} had passed before a schedule was tried; use fewer prompts`,
    );
  }
  let finalists: Tried[] = [];
  await inTime(async () => {
    finalists = await search.finalists(found);
  });
  const spent = { runs: trials.runs, seconds: seconds(), isCutShort };

  phase = 'validation';
  const decision = new Decision(tries, found, even, trials);
  const otherSeed = seed + prompts.length + validationPrompts.length;
  const again = new Trials(pipe, run(prompts, otherSeed), { onRun, end }, kept('again'));
  const others = new Trials(
    pipe,
    run(validationPrompts, seed + prompts.length),
    { onRun, end },
    kept('others'),
  );
  let validation: TuneFigures | undefined;
  let fewerSteps: TuneResult['fewerSteps'];
  await inTime(async () => {
    // Other prompts matter more than other noise.
    const needed = (AGAIN_RUNS + OTHERS_RUNS * ratio) * (spent.seconds / spent.runs);
    if (maxSeconds - seconds() > needed) await decision.amongFinalists(finalists, again);
    validation = await decision.onOthers(others);
    if (options.timesteps || options.sigmas) return;
    fewerSteps = await others.fewerSteps(speedupOf(decision.best));
  });
  await callbacks.settled(options.signal);
  const { best } = decision;
  return {
    cache: cacheOf(best, trials.calls),
    run: planned,
    speedup: speedupOf(best),
    ...spreadOf([trials, again, others].flatMap((all) => all.measuredSpeedups(best))),
    isWithin: tries.isWithin(best),
    even: {
      steps: [...even.steps],
      // Even settings predict nothing.
      branch: even.between as number,
      ...(even.features && { featureDamping: even.features }),
      speedup: speedupOf(even),
    },
    ...spent,
    tuning: await figures(trials, best, even),
    validation,
    fewerSteps,
  };
}

function hasBranch({ unet }: TunablePipeline, branch: number): boolean {
  try {
    unet.validateBranch(branch);
    return true;
  } catch {
    return false;
  }
}

function checkBudget(budget: TuneBudget): void {
  if ('minPsnr' in budget) {
    const { minPsnr } = budget;
    if (!(Number.isFinite(minPsnr) && minPsnr > 0)) {
      throw invalidArgument('minPsnr', `must be decibels above 0, got ${show(minPsnr)}`);
    }
  } else if ('preset' in budget) {
    const presets = Object.keys(CACHE_PRESETS);
    if (presets.includes(budget.preset)) return;
    throw invalidArgument('preset', `must be one of ${presets.join(', ')}, got ${show(budget.preset)}`);
  } else if (!(Number.isFinite(budget.speedup) && budget.speedup > 1)) {
    throw invalidArgument('speedup', `must be a number above 1, got ${show(budget.speedup)}`);
  }
}

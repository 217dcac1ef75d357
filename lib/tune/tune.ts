import { Callbacks } from '../callbacks.js';
import { invalidArgument } from '../errors.js';
import type { GenerateOptions } from '../pipelines/options.js';
import { drawSeed, isRandom } from '../pipelines/seeds.js';
import { Search, type Tried, type TuneBudget } from './search.js';
import { type Schedule, Trials, type TunablePipeline } from './trials.js';

export interface TuneOptions {
  /** Prompts that are searched with, and others that the result is tried on. */
  prompts: readonly string[];
  validationPrompts: readonly string[];
  /** Seeds count up from it; validation goes on behind. Default 0; -1 is a random one. */
  seed?: number;
  /** Branches that are searched. Default 0 to 3, as far as the U-Net has them. */
  branches?: readonly number[];
  /** Ends the search, with the best so far, after so many runs of all prompts. Default 500. */
  maxRuns?: number;
  /** The same after so many seconds. Default 300. */
  maxSeconds?: number;
  /** Called after every run. What it throws, or a promise of its that rejects, ends the search. */
  onProgress?: (event: TuneEvent) => unknown;
}

/** After a run. */
export interface TuneEvent {
  phase: 'measuring' | 'search' | 'validation';
  /** Runs and seconds of the search so far. */
  runs: number;
  seconds: number;
  schedule: Schedule;
  /** Unknown for runs that measure. */
  psnr?: number;
}

/** A schedule beside as many evenly spaced full calls, on the same prompts and seeds. */
export interface TuneFigures {
  psnr: number;
  uniform: Tried;
  /** Decibels. */
  gain: number;
}

export interface TuneResult {
  /** The option to use. */
  cache: { steps: number[]; branch: number };
  /** From the times of single calls. */
  speedup: number;
  /** Whether the budget holds on the tuning prompts; when not, this is the nearest that was found. */
  isWithin: boolean;
  /** Runs and seconds of the search, and whether it was cut short. */
  runs: number;
  seconds: number;
  isCutShort: boolean;
  /** On the prompts that were searched with. */
  tuning: TuneFigures;
  /** On prompts and seeds that the search has not seen. */
  validation: TuneFigures;
}

const DEFAULT_BRANCHES = [0, 1, 2, 3];
/** Share of runs and seconds that measuring gaps may take. */
const MEASURING = 0.6;

/**
 * Searches the fastest schedule within a budget, see {@link Search}. The best few of the same time, and evenly spaced
 * full calls, are run once more with other noise: what was luck with the first gives way. All likeness is measured, with all prompts in one run; time follows
 * from the seconds of calls.
 *
 * ```ts
 * const { cache, speedup, validation } = await tune(pipe, {}, { minPsnr: 30 }, { prompts, validationPrompts });
 * await pipe.generate({ prompt, cache });
 * ```
 *
 * @param options those of the pipeline's `generate`, without prompts, seeds and cache.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, what `generate` throws, the signal's reason after an abort.
 */
export async function tune(
  pipe: TunablePipeline,
  options: GenerateOptions,
  budget: TuneBudget,
  tuning: TuneOptions,
): Promise<TuneResult> {
  checkBudget(budget);
  const seed = tuning.seed !== undefined && isRandom(tuning.seed) ? drawSeed() : (tuning.seed ?? 0);
  const { prompts, validationPrompts, maxRuns = 500, maxSeconds = 300, onProgress } = tuning;
  for (const [name, list] of Object.entries({ prompts, validationPrompts })) {
    if (list.length === 0) throw invalidArgument(name, 'must be at least one');
  }
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  let phase: TuneEvent['phase'] = 'measuring';
  let isCutShort = false;
  const isOver = () => {
    const share = phase === 'measuring' ? MEASURING : 1;
    const over = trials.runs >= share * maxRuns || seconds() >= share * maxSeconds;
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
  const trials: Trials = new Trials(pipe, run(prompts, seed), { isOver, onRun });
  await trials.start();
  const branches = tuning.branches ?? DEFAULT_BRANCHES.filter((branch) => hasBranch(pipe, branch));
  for (const branch of branches) pipe.unet.validateBranch(branch);

  const search = new Search(trials, budget, branches);
  await search.measure();
  phase = 'search';
  const found = await search.run();
  const { even, others } = await search.finalists(found);
  const spent = { runs: trials.runs, seconds: seconds(), isCutShort };

  phase = 'validation';
  // Other noise tells what is more than luck with this one.
  const check = new Trials(pipe, run(prompts, seed + prompts.length + validationPrompts.length), { onRun });
  await check.start();
  let best = { tried: found, score: -Infinity };
  for (const tried of [even, ...others]) {
    if (search.isWithin(found) && !search.isWithin(tried)) continue;
    const score = tried.psnr + (await check.psnr(tried));
    if (score > best.score) best = { tried, score };
  }
  const { steps, branch, psnr } = best.tried;

  const unseen = new Trials(pipe, run(validationPrompts, seed + prompts.length), { onRun });
  await unseen.start();
  const evenUnseen = { ...even, psnr: await unseen.psnr(even) };
  const validation = figures(await unseen.psnr(best.tried), evenUnseen);
  await callbacks.settled(options.signal);
  return {
    cache: { steps: [...steps], branch },
    speedup: trials.speedup(steps.length, branch),
    isWithin: search.isWithin(best.tried),
    ...spent,
    tuning: figures(psnr, even),
    validation,
  };
}

const figures = (psnr: number, uniform: Tried): TuneFigures => ({ psnr, uniform, gain: psnr - uniform.psnr });

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
      throw invalidArgument('minPsnr', `must be decibels above 0, got ${String(minPsnr)}`);
    }
  } else if (!(Number.isFinite(budget.speedup) && budget.speedup > 1)) {
    throw invalidArgument('speedup', `must be a number above 1, got ${String(budget.speedup)}`);
  }
}

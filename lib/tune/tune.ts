import { invalidArgument } from '../errors.js';
import type { GenerateOptions } from '../pipelines/options.js';
import { neighbours, nonuniformLists, uniformList } from './lists.js';
import { type Schedule, Trials, type TunablePipeline } from './trials.js';

/** What must be kept: a likeness, of which the fastest is wanted, or a speed, of which the likest is. */
export type TuneBudget = { minPsnr: number } | { speedup: number };

export interface TuneOptions {
  /** Prompts that are searched with, and others that the result is tried on. */
  prompts: readonly string[];
  validationPrompts: readonly string[];
  /** Seeds count up from it; validation goes on behind. Default 0. */
  seed?: number;
  /** Branches that are searched. Default 0 to 3, as far as the U-Net has them. */
  branches?: readonly number[];
  /** Ends the search, with the best so far, after so many runs of all prompts. Default 150. */
  maxRuns?: number;
  /** The same after so many seconds. Default 300. */
  maxSeconds?: number;
  onProgress?: (event: TuneEvent) => void;
}

export interface TuneEvent {
  runs: number;
  maxRuns: number;
  phase: 'search' | 'validation';
  schedule: Schedule;
  psnr: number;
}

/** A schedule on prompts: mean decibels of the pictures against those of the uncached run. */
export interface Tried extends Schedule {
  psnr: number;
}

export interface TuneResult {
  /** The option to use. */
  cache: { steps: number[]; branch: number };
  /** On the tuning prompts. */
  psnr: number;
  /** From the times of single calls. */
  speedup: number;
  /** Whether the budget holds on the tuning prompts; when not, this is the nearest that was found. */
  isWithin: boolean;
  /** Runs and seconds of the search, and whether it was cut short. */
  runs: number;
  seconds: number;
  isCutShort: boolean;
  /** On prompts and seeds that the search has not seen. */
  validation: { psnr: number; uniform: Tried; gain: number };
}

const DEFAULT_BRANCHES = [0, 1, 2, 3];
/** A schedule this far below the wanted likeness is not worth refining. */
const HOPELESS = 6;
/** Decibels that a move must gain: less would be chance. */
const MIN_GAIN = 0.05;
/** Full calls are moved this far at once. */
const REACH = 3;

/**
 * Searches the fastest schedule within a budget: for each number of full calls and branch that comes into question it
 * starts from the best of the evenly spaced list and the paper's non-uniform ones, and then moves single full calls as
 * long as that helps. What does not beat the even list with other noise, too, gives way to it. All likeness is measured, with all prompts in one run; time follows from the seconds of calls.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT, what `generate` throws, the signal's reason after an abort.
 */
export async function tune(
  pipe: TunablePipeline,
  options: GenerateOptions,
  budget: TuneBudget,
  tuning: TuneOptions,
): Promise<TuneResult> {
  checkBudget(budget);
  const { prompts, validationPrompts, seed = 0, maxRuns = 150, maxSeconds = 300, onProgress } = tuning;
  for (const [name, list] of Object.entries({ prompts, validationPrompts })) {
    if (list.length === 0) throw invalidArgument(name, 'must be at least one');
  }
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  const report = (phase: TuneEvent['phase']) => (schedule: Schedule, psnr: number) =>
    onProgress?.({ runs: trials.runs, maxRuns, phase, schedule, psnr });
  const run = (list: readonly string[], first: number): GenerateOptions => ({
    ...options,
    prompt: [...list],
    seeds: list.map((_, i) => first + i),
  });
  const trials: Trials = new Trials(pipe, run(prompts, seed), report('search'));
  await trials.start();
  const branches = tuning.branches ?? DEFAULT_BRANCHES.filter((branch) => hasBranch(pipe, branch));
  await trials.measureCalls(branches);

  const search = new Search(trials, budget, () => trials.runs >= maxRuns || seconds() >= maxSeconds);
  const found = await search.run(branches);
  const even = { steps: uniformList(trials.calls, found.steps.length), branch: found.branch };
  // Other noise tells whether what was found is more than luck with this one.
  const check = new Trials(
    pipe,
    run(prompts, seed + prompts.length + validationPrompts.length),
    report('validation'),
  );
  await check.start();
  const isLuck = (await check.psnr(found)) < (await check.psnr(even));
  const evenTried = { ...even, psnr: await trials.psnr(even) };
  const best = isLuck && (search.isWithin(evenTried) || !search.isWithin(found)) ? evenTried : found;
  const spent = { runs: trials.runs, seconds: seconds(), isCutShort: search.isCutShort };

  const unseen = new Trials(pipe, run(validationPrompts, seed + prompts.length), report('validation'));
  await unseen.start();
  const uniform: Tried = { ...even, psnr: await unseen.psnr(even) };
  const psnr = await unseen.psnr(best);
  return {
    cache: { steps: [...best.steps], branch: best.branch },
    psnr: best.psnr,
    speedup: trials.speedup(best.steps.length, best.branch),
    isWithin: search.isWithin(best),
    ...spent,
    validation: { psnr, uniform, gain: psnr - uniform.psnr },
  };
}

/** Full calls and branch of schedules that take the same time. */
interface Candidate {
  count: number;
  branch: number;
  speedup: number;
}

class Search {
  isCutShort = false;

  constructor(
    private readonly trials: Trials,
    private readonly budget: TuneBudget,
    private readonly isOver: () => boolean,
  ) {}

  isWithin({ steps, branch, psnr }: Tried): boolean {
    if ('minPsnr' in this.budget) return psnr >= this.budget.minPsnr;
    return this.trials.speedup(steps.length, branch) >= this.budget.speedup;
  }

  run(branches: readonly number[]): Promise<Tried> {
    const candidates = branches.flatMap((branch) =>
      Array.from({ length: this.trials.calls - 1 }, (_, i): Candidate => {
        const count = i + 1;
        return { count, branch, speedup: this.trials.speedup(count, branch) };
      }),
    );
    return 'minPsnr' in this.budget
      ? this.#fastest(candidates, branches, this.budget.minPsnr)
      : this.#likest(candidates, branches, this.budget.speedup);
  }

  /** The likest schedule among those that are fast enough. */
  async #likest(candidates: Candidate[], branches: readonly number[], wanted: number): Promise<Tried> {
    const starts: Tried[] = [];
    for (const branch of branches) {
      const fast = candidates.filter((one) => one.branch === branch && one.speedup >= wanted);
      // More full calls are likelier.
      const most = fast.at(-1);
      if (most) starts.push(await this.#start(most));
    }
    if (starts.length === 0) {
      const top = Math.max(...candidates.map(({ speedup }) => speedup));
      throw invalidArgument('speedup', `${wanted} cannot be reached: at most ${top.toFixed(2)} here`);
    }
    // The second best may be the better one to refine.
    const two = starts.sort((a, b) => b.psnr - a.psnr).slice(0, 2);
    const refined: Tried[] = [];
    for (const one of two) refined.push(await this.#refine(one));
    return likestOf(refined);
  }

  /** The fastest schedule among those that are alike enough. */
  async #fastest(candidates: Candidate[], branches: readonly number[], wanted: number): Promise<Tried> {
    let best: (Tried & { speedup: number }) | undefined;
    let nearest: Tried | undefined;
    const keep = (tried: Tried) => {
      if (!nearest || tried.psnr > nearest.psnr) nearest = tried;
      const speedup = this.trials.speedup(tried.steps.length, tried.branch);
      if (tried.psnr >= wanted && (!best || speedup > best.speedup)) best = { ...tried, speedup };
      return tried.psnr >= wanted;
    };
    for (const branch of branches) {
      // Halves the range of counts: what suffices from the start of the search bounds what refining has to improve on.
      const counts = candidates.filter((one) => one.branch === branch).map(({ count }) => count);
      let [low, high] = [0, counts.length - 1];
      while (low < high && !this.#stop()) {
        const middle = Math.floor((low + high) / 2);
        const tried = await this.trials.psnr({
          steps: uniformList(this.trials.calls, counts[middle] as number),
          branch,
        });
        const isEnough = keep({
          steps: uniformList(this.trials.calls, counts[middle] as number),
          branch,
          psnr: tried,
        });
        if (isEnough) high = middle;
        else low = middle + 1;
      }
    }
    // From the fastest candidate that may come up to it, downwards in speed.
    const order = candidates.sort((a, b) => b.speedup - a.speedup);
    for (const candidate of order) {
      if (this.#stop()) break;
      if (best && candidate.speedup <= best.speedup) break;
      const steps = uniformList(this.trials.calls, candidate.count);
      const { branch } = candidate;
      const psnr = await this.trials.psnr({ steps, branch });
      keep({ steps, branch, psnr });
      if (psnr < wanted - HOPELESS) continue;
      const start = await this.#start(candidate);
      if (!keep(start) && start.psnr >= wanted - HOPELESS / 2) keep(await this.#refine(start, wanted));
    }
    return best ?? (nearest as Tried);
  }

  /** The best of the evenly spaced list and the paper's lists. */
  async #start({ count, branch }: Candidate): Promise<Tried> {
    const lists = [uniformList(this.trials.calls, count), ...nonuniformLists(this.trials.calls, count)];
    let best: Tried | undefined;
    for (const steps of lists) {
      if (best && this.#stop()) break;
      if (best && (await this.trials.gain({ steps, branch }, best)) <= 0) continue;
      best = { steps, branch, psnr: await this.trials.psnr({ steps, branch }) };
    }
    return best as Tried;
  }

  /** Moves single full calls until no move helps, or the wanted likeness is there. */
  async #refine(start: Tried, wanted = Infinity): Promise<Tried> {
    let best = start;
    for (let improved = true; improved && best.psnr < wanted; ) {
      improved = false;
      for (const steps of neighbours(best.steps, this.trials.calls, REACH)) {
        if (this.#stop()) return best;
        const moved = { steps, branch: best.branch };
        if ((await this.trials.gain(moved, best)) < MIN_GAIN) continue;
        best = { ...moved, psnr: await this.trials.psnr(moved) };
        improved = true;
        break;
      }
    }
    return best;
  }

  #stop(): boolean {
    this.isCutShort ||= this.isOver();
    return this.isCutShort;
  }
}

function likestOf(list: readonly Tried[]): Tried {
  return list.reduce((best, one) => (one.psnr > best.psnr ? one : best));
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
      throw invalidArgument('minPsnr', `must be decibels above 0, got ${String(minPsnr)}`);
    }
  } else if (!(Number.isFinite(budget.speedup) && budget.speedup > 1)) {
    throw invalidArgument('speedup', `must be a number above 1, got ${String(budget.speedup)}`);
  }
}

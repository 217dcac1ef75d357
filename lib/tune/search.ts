import { invalidArgument } from '../errors.js';
import { GapCosts, measureGrowth } from './gaps.js';
import { neighbours, nonuniformLists, uniformList } from './lists.js';
import type { Schedule, Trials } from './trials.js';

/** What must be kept: a likeness, of which the fastest is wanted, or a speed, of which the likest is. */
export type TuneBudget = { minPsnr: number } | { speedup: number };

/** A schedule on prompts: mean decibels of the pictures against those of the uncached run. */
export interface Tried extends Schedule {
  psnr: number;
}

/** Decibels that a move must gain: less would be chance. */
const MIN_GAIN = 0.05;
/** Full calls are moved this far at once, and this many moves are tried in a row without one that helps. */
const REACH = 2;
const MAX_MOVES = 8;
/** Schedules that are run with other noise in the end, besides even steps. */
const FINALISTS = 3;
/** Decibels that moving full calls may be hoped to gain. */
const HOPE = 1;

/** Runs that calls are timed with: the first ones make plans, and a machine may be busy for a moment. */
const TIMING_ROUNDS = 2;

/** Full calls and branch of schedules that take the same time. */
interface Candidate {
  count: number;
  branch: number;
}

/**
 * Searches a schedule within a budget. What gaps cost is measured first ({@link GapCosts}); it names the best list for
 * each number of full calls and branch. Those that come into question are run, together with the evenly spaced list and
 * the paper's, and single full calls of the best are moved as long as that helps.
 */
export class Search {
  readonly #costs = new Map<number, GapCosts>();
  readonly #tried = new Map<string, Tried>();

  constructor(
    private readonly trials: Trials,
    private readonly budget: TuneBudget,
    private readonly branches: readonly number[],
  ) {}

  isWithin({ steps, branch, psnr }: Tried): boolean {
    if ('minPsnr' in this.budget) return psnr >= this.budget.minPsnr;
    return this.#speedup({ count: steps.length, branch }) >= this.budget.speedup;
  }

  /** Times calls, then measures gaps of the branches that come into question, as long as there is time. */
  async measure(): Promise<void> {
    for (let round = 0; round < TIMING_ROUNDS; round++) {
      for (const branch of this.branches) await this.trials.errors({ steps: [0], branch });
    }
    const { budget } = this;
    const useful = this.branches.filter(
      (branch) => 'minPsnr' in budget || this.#speedup({ count: 1, branch }) >= budget.speedup,
    );
    if (useful.length === 0) return;
    const growth = await measureGrowth(this.trials, useful[0] as number);
    for (const branch of useful) {
      const costs = growth && (await GapCosts.measure(this.trials, branch, growth));
      if (costs) this.#costs.set(branch, costs);
    }
  }

  run(): Promise<Tried> {
    return 'minPsnr' in this.budget ? this.#fastest(this.budget.minPsnr) : this.#likest(this.budget.speedup);
  }

  /** What else may turn out to be the best: the likest of those tried that take the same time, and even steps. */
  async finalists({ steps, branch }: Tried): Promise<{ even: Tried; others: Tried[] }> {
    const even = await this.#try({ steps: uniformList(this.trials.calls, steps.length), branch });
    const others = [...this.#tried.values()].filter(
      (tried) =>
        tried.branch === branch &&
        tried.steps.length === steps.length &&
        String(tried.steps) !== String(even.steps),
    );
    return { even, others: others.sort((a, b) => b.psnr - a.psnr).slice(0, FINALISTS) };
  }

  /** The likest schedule among those that are fast enough. */
  async #likest(wanted: number): Promise<Tried> {
    const starts: Tried[] = [];
    for (const branch of this.branches) {
      // More full calls are likelier.
      const most = this.#counts(branch, wanted).at(-1);
      if (most !== undefined) starts.push(await this.#start({ count: most, branch }));
    }
    if (starts.length === 0) {
      const top = Math.max(...this.branches.map((branch) => this.#speedup({ count: 1, branch })));
      throw invalidArgument('speedup', `${wanted} cannot be reached: at most ${top.toFixed(2)} here`);
    }
    // The second best may be the better one to refine.
    const two = starts.sort((a, b) => b.psnr - a.psnr).slice(0, 2);
    const refined: Tried[] = [];
    for (const one of two) refined.push(await this.#refine(one));
    return likestOf(refined);
  }

  /** The fastest schedule among those that are alike enough; when there is none, the likest that was seen. */
  async #fastest(wanted: number): Promise<Tried> {
    let best: Tried | undefined;
    let nearest: Tried | undefined;
    const keep = (tried: Tried) => {
      if (!nearest || tried.psnr > nearest.psnr) nearest = tried;
      if (tried.psnr < wanted) return false;
      if (!best || speedupOf(tried) > speedupOf(best)) best = tried;
      return true;
    };
    const speedupOf = ({ steps, branch }: Tried) => this.#speedup({ count: steps.length, branch });
    for (const branch of this.branches) {
      // Those that would be faster than what was found, from the fastest on; more full calls are likelier.
      const counts = this.#counts(branch, best ? speedupOf(best) : 1).filter(
        (count) => !best || this.#speedup({ count, branch }) > speedupOf(best),
      );
      let [low, high] = [0, counts.length];
      while (low < high && !(nearest && this.trials.isOver())) {
        const middle = Math.floor((low + high) / 2);
        const isEnough = keep(
          await this.#try(this.#bestLists({ count: counts[middle] as number, branch })[0]),
        );
        if (isEnough) high = middle;
        else low = middle + 1;
      }
      // One full call less, with all lists and moves.
      const count = counts[low - 1];
      if (count === undefined || this.trials.isOver()) continue;
      const start = await this.#start({ count, branch });
      if (!keep(start) && start.psnr >= wanted - HOPE) keep(await this.#refine(start, wanted));
    }
    return best ?? (nearest as Tried);
  }

  /** Numbers of full calls with which a branch is at least so fast, ascending. */
  #counts(branch: number, speedup: number): number[] {
    return Array.from({ length: this.trials.calls - 1 }, (_, i) => i + 1).filter(
      (count) => this.#speedup({ count, branch }) >= speedup,
    );
  }

  /** Lists worth trying, the most promising first: by the costs of gaps, the evenly spaced and the paper's. */
  #bestLists({ count, branch }: Candidate): Schedule[] {
    const { calls } = this.trials;
    const uniform = uniformList(calls, count);
    const nonuniform = nonuniformLists(calls, count);
    const costs = this.#costs.get(branch);
    const best = costs?.bestList(count);
    if (costs) nonuniform.sort((a, b) => costs.decibels(b) - costs.decibels(a));
    const lists = best ? [best, uniform, ...nonuniform.slice(0, 1)] : [uniform, ...nonuniform];
    return lists.map((steps) => ({ steps, branch }));
  }

  async #start(candidate: Candidate): Promise<Tried> {
    let best: Tried | undefined;
    for (const schedule of this.#bestLists(candidate)) {
      if (best && this.trials.isOver()) break;
      if (best && (await this.trials.gain(schedule, best)) <= 0) continue;
      best = await this.#try(schedule);
    }
    return best as Tried;
  }

  /** Moves single full calls until no move helps, or the wanted likeness is there. */
  async #refine(start: Tried, wanted = Infinity): Promise<Tried> {
    let best = start;
    const { branch } = start;
    const costs = this.#costs.get(branch);
    for (let improved = true; improved && best.psnr < wanted; ) {
      improved = false;
      const moves = neighbours(best.steps, this.trials.calls, REACH);
      if (costs) moves.sort((a, b) => costs.decibels(b) - costs.decibels(a));
      for (const steps of moves.slice(0, MAX_MOVES)) {
        if (this.trials.isOver()) return best;
        if ((await this.trials.gain({ steps, branch }, best)) < MIN_GAIN) continue;
        best = await this.#try({ steps, branch });
        improved = true;
        break;
      }
    }
    return best;
  }

  async #try(schedule: Schedule | undefined): Promise<Tried> {
    const known = schedule as Schedule;
    const tried = { ...known, psnr: await this.trials.psnr(known) };
    this.#tried.set(`${known.branch}:${known.steps.join()}`, tried);
    return tried;
  }

  #speedup({ count, branch }: Candidate): number {
    return this.trials.speedup(count, branch);
  }
}

function likestOf(list: readonly Tried[]): Tried {
  return list.reduce((best, one) => (one.psnr > best.psnr ? one : best));
}

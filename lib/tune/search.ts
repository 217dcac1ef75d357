import { invalidArgument } from '../errors.js';
import { intervalSchedules, presetSchedules } from './even.js';
import { GapCosts, measureGrowth } from './gaps.js';
import { neighbours, nonuniformLists, uniformList } from './lists.js';
import type { Schedule, Trials } from './trials.js';

/** The constraint: a least PSNR, for which the fastest schedule is searched, or a least speedup, for which the closest is. */
export type TuneBudget = { minPsnr: number } | { speedup: number };

/** A schedule on prompts: mean decibels of the pictures against those of the uncached run. */
export interface Tried extends Schedule {
  /** Decibels to pictures without a cache. */
  psnr: number;
}

/** Decibels that a move must gain: less would be chance. */
const MIN_GAIN = 0.05;
/** Full calls are moved this far at once, and this many moves are tried in a row without one that helps. */
const REACH = 2;
const MAX_MOVES = 8;
/** Schedules that are run with other noise in the end, besides even steps. */
export const FINALISTS = 3;
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
 * Searches a schedule within a budget. Even settings come first: the presets, and the intervals that fit. Then what gaps
 * cost is measured ({@link GapCosts}); it names the best list for each number of full calls and branch. Those that come
 * into question are run, together with the evenly spaced list and the paper's, and single full calls of the best are
 * moved as long as that helps.
 */
export class Search {
  readonly #costs = new Map<number, GapCosts>();
  readonly #tried = new Map<string, Tried>();
  readonly #even: Tried[] = [];

  constructor(
    private readonly trials: Trials,
    private readonly budget: TuneBudget,
    private readonly branches: readonly number[],
  ) {}

  isWithin({ steps, branch, psnr }: Tried): boolean {
    if ('minPsnr' in this.budget) return psnr >= this.budget.minPsnr;
    return this.#speedup({ count: steps.length, branch }) >= this.budget.speedup;
  }

  /** Times calls, and tries the presets and intervals that fit the budget, the first of them even without time. */
  async start(): Promise<void> {
    for (let round = 0; round < TIMING_ROUNDS; round++) {
      for (const branch of this.branches) await this.trials.errors({ steps: [0], branch });
    }
    const { calls } = this.trials;
    if ('speedup' in this.budget) {
      const { speedup } = this.budget;
      const isFast = (one: Schedule) => this.#speedup(candidateOf(one)) >= speedup;
      // Of a branch's intervals the one with the most full calls.
      const intervals = this.branches.map((branch) => intervalSchedules(calls, branch).filter(isFast).at(-1));
      const fitting = [
        ...presetSchedules(calls, this.branches).filter(isFast),
        ...intervals.filter(isDefined),
      ];
      if (fitting.length === 0) {
        const top = Math.max(...this.branches.map((branch) => this.#speedup({ count: 1, branch })));
        throw invalidArgument('speedup', `${speedup} cannot be reached: at most ${top.toFixed(2)} here`);
      }
      for (const schedule of fitting) await this.#tryEven(schedule);
      return;
    }
    for (const preset of presetSchedules(calls, this.branches)) await this.#tryEven(preset);
    for (const branch of this.branches) {
      const isFaster = (one: Schedule) =>
        !this.#even.some((even) => this.isWithin(even) && this.#speedup(even) >= this.#speedup(one));
      // More full calls come closer to the uncached result.
      await firstThat(intervalSchedules(calls, branch).filter(isFaster), async (schedule) => {
        const tried = await this.#tryEven(schedule);
        return tried && this.isWithin(tried);
      });
    }
  }

  /** Measures gaps of the branches that come into question, as long as there is time. */
  async measure(): Promise<void> {
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

  /** Tries lists, as long as there is time; {@link answer} has the best of all that were tried. */
  run(): Promise<void> {
    return 'minPsnr' in this.budget ? this.#fastest(this.budget.minPsnr) : this.#closest(this.budget.speedup);
  }

  /** The best that was tried; undefined before the first. */
  answer(): Tried | undefined {
    return this.best([...this.#tried.values()]);
  }

  /** The best of the presets and intervals that were tried. */
  get even(): Tried | undefined {
    return this.best(this.#even);
  }

  /**
   * The best of some schedules: the closest to the uncached result of those that are fast enough, or the fastest of those
   * that are close enough, and when none is, the closest.
   */
  best(tried: readonly Tried[]): Tried | undefined {
    const within = tried.filter((one) => this.isWithin(one));
    if ('speedup' in this.budget) return maximum(within, ({ psnr }) => psnr);
    const top = Math.max(...within.map((one) => this.#speedup(one)));
    const fastest = within.filter((one) => this.#speedup(one) === top);
    return maximum(fastest.length > 0 ? fastest : tried, ({ psnr }) => psnr);
  }

  /** What else may turn out to be the best: the closest of those tried that take the same time, and even steps. */
  async finalists({ steps, branch }: Tried): Promise<Tried[]> {
    const list = uniformList(this.trials.calls, steps.length);
    const uniform = this.trials.isOver() ? undefined : await this.#try({ steps: list, branch });
    const others = [...this.#tried.values()].filter(
      (tried) =>
        tried.branch === branch &&
        tried.steps.length === steps.length &&
        String(tried.steps) !== String(uniform?.steps),
    );
    others.sort((a, b) => b.psnr - a.psnr);
    return [...(uniform ? [uniform] : []), ...others.slice(0, FINALISTS)];
  }

  /** Looks for the schedule closest to the uncached result among those that are fast enough. */
  async #closest(wanted: number): Promise<void> {
    const starts: Tried[] = [];
    for (const branch of this.branches) {
      if (this.trials.isOver()) break;
      // More full calls come closer to the uncached result.
      const most = this.#counts(branch, wanted).at(-1);
      if (most !== undefined) starts.push(await this.#start({ count: most, branch }));
    }
    // The second best may be the better one to refine.
    for (const one of starts.sort((a, b) => b.psnr - a.psnr).slice(0, 2)) await this.#refine(one);
  }

  /** Looks for the fastest schedule among those that are close enough. */
  async #fastest(wanted: number): Promise<void> {
    for (const branch of this.branches) {
      // Those that would be faster than what was found, from the fastest on; more full calls come closer.
      const best = this.answer();
      const known = best && this.isWithin(best) ? this.#speedup(best) : 1;
      const counts = this.#counts(branch, known).filter((count) => this.#speedup({ count, branch }) > known);
      const first = await firstThat(counts, async (count) => {
        if (this.trials.isOver()) return undefined;
        return this.isWithin(await this.#try(this.#bestLists({ count, branch })[0]));
      });
      // One full call less, with all lists and moves.
      const count = counts[first - 1];
      if (count === undefined || this.trials.isOver()) continue;
      const start = await this.#start({ count, branch });
      if (!this.isWithin(start) && start.psnr >= wanted - HOPE) await this.#refine(start, wanted);
    }
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

  /** Moves single full calls until no move helps, or the wanted PSNR is reached. */
  async #refine(start: Tried, wanted = Infinity): Promise<void> {
    let best = start;
    const { branch } = start;
    const costs = this.#costs.get(branch);
    for (let improved = true; improved && best.psnr < wanted; ) {
      improved = false;
      const moves = neighbours(best.steps, this.trials.calls, REACH);
      if (costs) moves.sort((a, b) => costs.decibels(b) - costs.decibels(a));
      for (const steps of moves.slice(0, MAX_MOVES)) {
        if (this.trials.isOver()) return;
        if ((await this.trials.gain({ steps, branch }, best)) < MIN_GAIN) continue;
        best = await this.#try({ steps, branch });
        improved = true;
        break;
      }
    }
  }

  async #try(schedule: Schedule | undefined): Promise<Tried> {
    const known = schedule as Schedule;
    const tried = { ...known, psnr: await this.trials.psnr(known) };
    this.#tried.set(`${known.branch}:${known.steps.join()}`, tried);
    return tried;
  }

  /** Undefined when there is no time, and something was tried. */
  async #tryEven(schedule: Schedule): Promise<Tried | undefined> {
    if (this.#even.length > 0 && this.trials.isOver()) return undefined;
    const tried = await this.#try(schedule);
    this.#even.push(tried);
    return tried;
  }

  #speedup(one: Candidate | Schedule): number {
    const { count, branch } = 'steps' in one ? candidateOf(one) : one;
    return this.trials.speedup(count, branch);
  }
}

const candidateOf = ({ steps, branch }: Schedule): Candidate => ({ count: steps.length, branch });

const isDefined = <T>(value: T | undefined): value is T => value !== undefined;

function maximum(list: readonly Tried[], value: (tried: Tried) => number): Tried | undefined {
  return list.reduce<Tried | undefined>(
    (best, one) => (best && value(best) >= value(one) ? best : one),
    undefined,
  );
}

/**
 * The index of the first of a list for which something holds, which holds for all behind it, by halving. `holds` gives
 * undefined to stop; the list's length when it holds for none.
 */
async function firstThat<T>(
  list: readonly T[],
  holds: (one: T) => Promise<boolean | undefined>,
): Promise<number> {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const isHigh = await holds(list[middle] as T);
    if (isHigh === undefined) break;
    if (isHigh) high = middle;
    else low = middle + 1;
  }
  return high;
}

import { CACHE_PRESETS } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import type { PlannedRun } from '../plans/saved-plan.js';
import type { Tried, TuneBudget } from './budget.js';
import { Candidates } from './candidates.js';
import { intervalList, intervalSchedules, presetSchedules } from './even.js';
import { firstThat } from './first-that.js';
import { RULES } from './forecast-factors.js';
import { uniformList } from './lists.js';
import { maximum } from './maximum.js';
import { isPrediction, MIN_GAIN, mix, settle } from './predictions.js';
import { type Between, type Candidate, type ForecastRule, keyOf, type Schedule } from './schedule.js';
import type { Trials } from './trials.js';
import { Tries } from './tries.js';
import { usableRules } from './usable-rules.js';

/** So many moves are tried in a row without one that helps. */
const MAX_MOVES = 8;
/** Schedules that are run with other noise in the end, besides even steps. */
export const FINALISTS = 3;
/** Decibels that moving full calls may be hoped to gain. */
const HOPE = 1;
/** Decibels that lists of a branch may be hoped to gain on evenly spread full calls. */
const LISTS_GAIN = 6;

/** Runs that calls are timed with: the first ones make plans, and a machine may be busy for a moment. */
const TIMING_ROUNDS = 2;

/**
 * Searches a schedule within a budget. Even settings come first: the presets, and the intervals that fit. Then predictions: what their
 * gaps cost is known by arithmetic ({@link Candidates}), which names the best lists of full calls for each number of them; what
 * gaps of retrieved calls cost takes many runs, which are made only where these could still win. The lists that come into question are run, those of
 * retrieved calls beside evenly spaced ones and the paper's, and single full calls of the best are moved as long as that helps.
 */
export class Search {
  readonly tries: Tries;
  readonly #candidates: Candidates;
  /** What predictions may be made by; none where there will be none. */
  #rules: readonly ForecastRule[];
  /** Branches that come into question beside what was found. */
  #useful: readonly number[] = [];

  constructor(
    private readonly trials: Trials,
    private readonly budget: TuneBudget,
    private readonly branches: readonly number[],
    /** Whether forecast features are searched, and predicted calls, where the sampler can do with them. */
    private readonly forecasts: boolean,
    /** The kind of run, as far as presets look at it. */
    private readonly planned: PlannedRun | undefined,
  ) {
    this.#rules = forecasts ? RULES : [];
    this.#candidates = new Candidates(trials);
    this.tries = new Tries(trials, 'preset' in budget ? { speedup: 1 } : budget);
  }

  /** Times calls, and tries the presets and intervals that fit the budget, the first of them even without time. */
  async start(): Promise<void> {
    const { trials, tries } = this;
    const preset = 'preset' in this.budget ? CACHE_PRESETS[this.budget.preset] : undefined;
    const timed = new Set([...this.branches, ...(preset ? [preset.branch] : [])]);
    for (let round = 0; round < TIMING_ROUNDS; round++) {
      for (const branch of timed) await trials.errors({ steps: [0], between: branch });
      this.#rules = await usableRules(trials, this.#rules);
    }
    const { calls } = trials;
    if (preset) {
      const count = intervalList(calls, preset.interval).length;
      tries.limit = { speedup: tries.speedup({ count, between: preset.branch }) };
    }
    if ('speedup' in tries.limit) {
      const { speedup } = tries.limit;
      const isFast = (one: Schedule) => tries.isFast(one);
      // Of a branch as many full calls as there is time for, as evenly spread as can be: no interval has more.
      const uniform = this.branches.flatMap((between): Schedule[] => {
        const most = this.#counts(between).at(-1);
        return most === undefined ? [] : [{ steps: uniformList(calls, most), between }];
      });
      const fitting = [...presetSchedules(calls, this.branches, this.planned).filter(isFast), ...uniform];
      // Where predictions alone are fast enough, they have to be better than the fastest that is besides.
      if (fitting.length === 0) fitting.push(this.#fastestEven(speedup));
      for (const schedule of fitting) await tries.tryEven(schedule);
      return;
    }
    for (const preset of presetSchedules(calls, this.branches, this.planned)) await tries.tryEven(preset);
    for (const branch of this.branches) {
      const isFaster = (one: Schedule) => !tries.hasEven(tries.speedup(one));
      // More full calls come closer to the uncached result.
      await firstThat(intervalSchedules(calls, branch).filter(isFaster), async (schedule) => {
        const tried = await tries.tryEven(schedule);
        return tried && tries.isWithin(tried);
      });
    }
  }

  /** One full call, and the others at the branch that takes least. Throws when predictions are not fast enough either. */
  #fastestEven(wanted: number): Schedule {
    const { tries, branches } = this;
    const fastest = (kinds: readonly Between[]) =>
      maximum(kinds, (between) => tries.speedup({ count: 1, between })) as Between;
    const all = fastest([...branches, ...(this.#rules.length > 0 ? (['predict'] as const) : [])]);
    if (!tries.isFast({ count: 1, between: all })) {
      const top = tries.speedup({ count: 1, between: all }).toFixed(2);
      throw invalidArgument('speedup', `${wanted} cannot be reached: at most ${top} here`);
    }
    return { steps: [0], between: fastest(branches) };
  }

  /** Measures what becomes of errors of predicted calls, as long as there is time. */
  async measureForecasts(): Promise<void> {
    if (this.#rules.length > 0) await this.#candidates.measureForecasts(this.#rules);
  }

  /** Tries predictions, as long as there is time; the answer of {@link tries} is the best of all that was tried. */
  async runPredictions(): Promise<void> {
    const { trials, tries } = this;
    if (this.#rules.length === 0) return;
    await this.#run(['predict']);
    if (!('speedup' in tries.limit)) return;
    await settle(trials, tries, this.#rules);
    const [branch] = this.branches;
    if (branch !== undefined) await mix(trials, tries, this.#candidates, branch);
  }

  /** Measures gaps of the branches that come into question beside what was found, as long as there is time. */
  async measureGaps(): Promise<void> {
    const { tries, trials } = this;
    const { limit } = tries;
    const useful: number[] = [];
    for (const between of this.branches) {
      const most = this.#counts(between).at(-1);
      if (most === undefined) continue;
      // Of lists with so many full calls the evenly spread one says how close the others can be.
      const found = tries.bestThat(isPrediction);
      const wanted = 'minPsnr' in limit ? limit.minPsnr : (found?.psnr ?? -Infinity);
      const isFar =
        found !== undefined &&
        !trials.isOver() &&
        (await tries.try({ steps: uniformList(trials.calls, most), between })).psnr < wanted - LISTS_GAIN;
      if (!isFar) useful.push(between);
    }
    this.#useful = useful;
    await this.#candidates.measureGaps(useful);
  }

  /** Tries lists of retrieved calls, as long as there is time. */
  run(): Promise<void> {
    return this.#run(this.#useful);
  }

  /** What else may turn out to be the best: the closest of those tried that take the same time, and even steps. */
  async finalists({ steps, between }: Tried): Promise<Tried[]> {
    const { trials, tries } = this;
    const list = uniformList(trials.calls, steps.length);
    const uniform = trials.isOver() ? undefined : await tries.try({ steps: list, between });
    const others = tries
      .like({ steps, between })
      .filter((tried) => !uniform || keyOf(tried) !== keyOf(uniform));
    return [...(uniform ? [uniform] : []), ...others.slice(0, FINALISTS)];
  }

  /** Looks for the schedule closest to the uncached result among those that are fast enough, or the fastest of those that are close enough. */
  #run(betweens: readonly Between[]): Promise<void> {
    const { limit } = this.tries;
    return 'minPsnr' in limit ? this.#fastest(betweens, limit.minPsnr) : this.#closest(betweens);
  }

  async #closest(betweens: readonly Between[]): Promise<void> {
    const starts: Tried[] = [];
    for (const between of betweens) {
      if (this.trials.isOver()) break;
      // More full calls come closer to the uncached result.
      const most = this.#counts(between).at(-1);
      if (most !== undefined) starts.push(await this.#start({ count: most, between }));
    }
    // The second best may be the better one to refine.
    for (const one of starts.sort((a, b) => b.merit - a.merit).slice(0, 2)) await this.#refine(one);
  }

  async #fastest(betweens: readonly Between[], wanted: number): Promise<void> {
    const { tries, trials } = this;
    for (const between of betweens) {
      // Those that would be faster than what was found, from the fastest on; more full calls come closer.
      const counts = this.#counts(between);
      const first = await firstThat(
        counts,
        async (count) => {
          if (trials.isOver()) return undefined;
          return tries.isWithin(await this.#try(this.#candidates.lists({ count, between })[0] as Schedule));
        },
        (count) => {
          const foretold = this.#candidates.foretold({ count, between });
          return foretold === undefined ? undefined : foretold >= wanted;
        },
      );
      // One full call less and another one, with all lists, features and moves.
      for (const count of counts.slice(0, first).reverse()) {
        if (trials.isOver()) break;
        const start = await this.#start({ count, between });
        if (tries.isWithin(start)) continue;
        if (start.psnr < wanted - HOPE || !(await this.#refine(start, wanted))) break;
      }
    }
  }

  /** Numbers of full calls with which calls between them are fast enough, ascending; with a budget in decibels, faster than what was found. */
  #counts(between: Between): number[] {
    const { tries } = this;
    const { limit } = tries;
    const best = tries.answer();
    const known = best && tries.isWithin(best) ? tries.speedup(best) : 1;
    return Array.from({ length: this.trials.calls - 1 }, (_, i) => ({ count: i + 1, between }))
      .filter((one) => ('minPsnr' in limit ? tries.speedup(one) > known : tries.isFast(one)))
      .map(({ count }) => count);
  }

  async #start(candidate: Candidate): Promise<Tried> {
    let best: Tried | undefined;
    for (const schedule of this.#candidates.lists(candidate)) {
      if (best && this.trials.isOver()) break;
      const tried = await this.#try(schedule);
      if (!best || (await this.trials.gain(schedule, best)) > 0) best = tried;
    }
    return this.#withFeatures(best as Tried);
  }

  /** A list that {@link Candidates} named. */
  async #try(schedule: Schedule): Promise<Tried> {
    const tried = await this.tries.try(schedule);
    this.#candidates.learn(tried);
    return tried;
  }

  /** The share of their change that features go on by, as long as more of it helps. */
  async #withFeatures(start: Tried): Promise<Tried> {
    let best = start;
    if (!this.forecasts) return best;
    for (const schedule of this.#candidates.withFeatures(start)) {
      if (this.trials.isOver() || (await this.trials.gain(schedule, best)) < MIN_GAIN) break;
      best = await this.tries.try(schedule);
    }
    return best;
  }

  /** Moves single full calls until no move helps, or the wanted PSNR is reached; says whether it was. */
  async #refine(start: Tried, wanted = Infinity): Promise<boolean> {
    let best = start;
    for (let improved = true; improved && best.psnr < wanted; ) {
      improved = false;
      for (const moved of this.#candidates.moves(best).slice(0, MAX_MOVES)) {
        if (this.trials.isOver()) return false;
        if ((await this.trials.gain(moved, best)) < MIN_GAIN) continue;
        best = await this.tries.try(moved);
        improved = true;
        break;
      }
    }
    return best.psnr >= wanted;
  }
}

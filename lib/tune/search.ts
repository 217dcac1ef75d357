import { CACHE_PRESETS, type CachePreset } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import type { PlannedRun } from '../plans/saved-plan.js';
import type { Tried, TuneBudget } from './budget.js';
import { Candidates } from './candidates.js';
import { intervalList, intervalSchedules, presetSchedules } from './even.js';
import { firstThat } from './first-that.js';
import { RULES } from './forecast-factors.js';
import { uniformList } from './lists.js';
import { maximum } from './maximum.js';
import {
  type Between,
  type Candidate,
  candidateOf,
  type ForecastRule,
  keyOf,
  type Schedule,
} from './schedule.js';
import { settled } from './settled.js';
import type { Trials } from './trials.js';
import { usableRules } from './usable-rules.js';

/** Decibels that a move must gain: less would be chance. */
const MIN_GAIN = 0.05;
/** Factors that are found together. */
const FACTOR_SETS = [['clean'], ['clean', 'noise', 'gamma']] as const;
/** So many moves are tried in a row without one that helps. */
const MAX_MOVES = 8;
/** Schedules that are run with other noise in the end, besides even steps. */
export const FINALISTS = 3;
/** Decibels that moving full calls may be hoped to gain. */
const HOPE = 1;

/** Runs that calls are timed with: the first ones make plans, and a machine may be busy for a moment. */
const TIMING_ROUNDS = 2;

/**
 * Searches a schedule within a budget. Even settings come first: the presets, and the intervals that fit. Then what gaps
 * cost is measured ({@link Candidates}); it names the best list for
 * each number of full calls and branch. Those that come into question are run, together with the evenly spaced list and
 * the paper's, and single full calls of the best are moved as long as that helps.
 */
export class Search {
  readonly #candidates: Candidates;
  readonly #tried = new Map<string, Tried>();
  readonly #even: Tried[] = [];
  /** What predictions may be made by; none where there will be none. */
  #rules: readonly ForecastRule[];
  #limit: Exclude<TuneBudget, { preset: CachePreset }>;

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
    // What a preset's speed is, calls have to say first.
    this.#limit = 'preset' in budget ? { speedup: 1 } : budget;
  }

  isWithin(tried: Tried): boolean {
    if ('minPsnr' in this.#limit) return tried.psnr >= this.#limit.minPsnr;
    return this.#speedup(tried) >= this.#limit.speedup;
  }

  /** Times calls, and tries the presets and intervals that fit the budget, the first of them even without time. */
  async start(): Promise<void> {
    const preset = 'preset' in this.budget ? CACHE_PRESETS[this.budget.preset] : undefined;
    const timed = new Set([...this.branches, ...(preset ? [preset.branch] : [])]);
    for (let round = 0; round < TIMING_ROUNDS; round++) {
      for (const branch of timed) await this.trials.errors({ steps: [0], between: branch });
      this.#rules = await usableRules(this.trials, this.#rules);
    }
    const { calls } = this.trials;
    if (preset) {
      const count = intervalList(calls, preset.interval).length;
      this.#limit = { speedup: this.#speedup({ count, between: preset.branch }) };
    }
    if ('speedup' in this.#limit) {
      const { speedup } = this.#limit;
      const isFast = (one: Schedule) => this.#speedup(candidateOf(one)) >= speedup;
      // Of a branch's intervals the one with the most full calls.
      const intervals = this.branches.map((branch) => intervalSchedules(calls, branch).filter(isFast).at(-1));
      const fitting = [
        ...presetSchedules(calls, this.branches, this.planned).filter(isFast),
        ...intervals.filter(isDefined),
      ];
      if (fitting.length === 0) {
        const top = Math.max(...this.branches.map((between) => this.#speedup({ count: 1, between })));
        throw invalidArgument('speedup', `${speedup} cannot be reached: at most ${top.toFixed(2)} here`);
      }
      for (const schedule of fitting) await this.#tryEven(schedule);
      return;
    }
    for (const preset of presetSchedules(calls, this.branches, this.planned)) await this.#tryEven(preset);
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
    const limit = this.#limit;
    const useful = this.branches.filter(
      (between) => 'minPsnr' in limit || this.#speedup({ count: 1, between }) >= limit.speedup,
    );
    await this.#candidates.measure(useful, this.#rules);
  }

  /** Tries lists, as long as there is time; {@link answer} has the best of all that were tried. */
  run(): Promise<void> {
    return 'minPsnr' in this.#limit ? this.#fastest(this.#limit.minPsnr) : this.#closest(this.#limit.speedup);
  }

  /** The best that was tried; undefined before the first. */
  answer(): Tried | undefined {
    return this.best([...this.#tried.values()]);
  }

  /** The best of those tried for which something holds. */
  bestThat(holds: (tried: Tried) => boolean): Tried | undefined {
    return this.best([...this.#tried.values()].filter(holds));
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
    if ('speedup' in this.#limit) return maximum(within, ({ psnr }) => psnr);
    const top = Math.max(...within.map((one) => this.#speedup(one)));
    const fastest = within.filter((one) => this.#speedup(one) === top);
    return maximum(fastest.length > 0 ? fastest : tried, ({ psnr }) => psnr);
  }

  /** What else may turn out to be the best: the closest of those tried that take the same time, and even steps. */
  async finalists({ steps, between }: Tried): Promise<Tried[]> {
    const list = uniformList(this.trials.calls, steps.length);
    const uniform = this.trials.isOver() ? undefined : await this.#try({ steps: list, between });
    const others = [...this.#tried.values()].filter(
      (tried) =>
        tried.between === between &&
        tried.steps.length === steps.length &&
        (!uniform || keyOf(tried) !== keyOf(uniform)),
    );
    others.sort((a, b) => b.psnr - a.psnr);
    return [...(uniform ? [uniform] : []), ...others.slice(0, FINALISTS)];
  }

  /** Looks for the schedule closest to the uncached result among those that are fast enough. */
  async #closest(wanted: number): Promise<void> {
    const starts: Tried[] = [];
    for (const between of this.#betweens) {
      if (this.trials.isOver()) break;
      // More full calls come closer to the uncached result.
      const most = this.#counts(between, wanted).at(-1);
      if (most !== undefined) starts.push(await this.#start({ count: most, between }));
    }
    // The second best may be the better one to refine.
    for (const one of starts.sort((a, b) => b.psnr - a.psnr).slice(0, 2)) await this.#refine(one);
    await this.#settle();
    await this.#mix(wanted);
  }

  /** The best prediction with factors that its own runs find: those of clean latents alone are the safer ones. */
  async #settle(): Promise<void> {
    for (const names of this.#rules.includes('whole') ? FACTOR_SETS : [['gamma'] as const]) {
      const best = this.bestThat(isPrediction);
      const schedule = best && (await settled(this.trials, best, names));
      if (schedule && (await this.trials.gain(schedule, best)) >= MIN_GAIN) await this.#try(schedule);
    }
  }

  /** Looks for the fastest schedule among those that are close enough. */
  async #fastest(wanted: number): Promise<void> {
    for (const between of this.#betweens) {
      // Those that would be faster than what was found, from the fastest on; more full calls come closer.
      const best = this.answer();
      const known = best && this.isWithin(best) ? this.#speedup(best) : 1;
      const counts = this.#counts(between, known).filter(
        (count) => this.#speedup({ count, between }) > known,
      );
      const first = await firstThat(counts, async (count) => {
        if (this.trials.isOver()) return undefined;
        return this.isWithin(await this.#try(this.#candidates.lists({ count, between })[0]));
      });
      // One full call less and another one, with all lists, features and moves.
      for (const count of counts.slice(0, first).reverse()) {
        if (this.trials.isOver()) break;
        const start = await this.#start({ count, between });
        if (this.isWithin(start)) continue;
        if (start.psnr < wanted - HOPE || !(await this.#refine(start, wanted))) break;
      }
    }
  }

  /** Numbers of full calls with which a branch is at least so fast, ascending. */
  #counts(between: Between, speedup: number): number[] {
    return Array.from({ length: this.trials.calls - 1 }, (_, i) => i + 1).filter(
      (count) => this.#speedup({ count, between }) >= speedup,
    );
  }

  async #start(candidate: Candidate): Promise<Tried> {
    let best: Tried | undefined;
    for (const schedule of this.#candidates.lists(candidate)) {
      if (best && this.trials.isOver()) break;
      if (best && (await this.trials.gain(schedule, best)) <= 0) continue;
      best = await this.#try(schedule);
    }
    return this.#withFeatures(best as Tried);
  }

  /** The share of their change that features go on by, as long as more of it helps. */
  async #withFeatures(start: Tried): Promise<Tried> {
    let best = start;
    if (!this.forecasts) return best;
    for (const schedule of this.#candidates.withFeatures(start)) {
      if (this.trials.isOver() || (await this.trials.gain(schedule, best)) < MIN_GAIN) break;
      best = await this.#try(schedule);
    }
    return best;
  }

  /** Retrieves some of the calls of the best prediction, for full calls less or where there is time left. */
  async #mix(wanted: number): Promise<void> {
    const [branch] = this.branches;
    let best = this.bestThat(isPrediction);
    if (!best || branch === undefined) return;
    for (const schedule of this.#candidates.mixed(best, branch, wanted)) {
      if (this.trials.isOver()) return;
      if ((await this.trials.gain(schedule, best)) >= MIN_GAIN) best = await this.#try(schedule);
    }
  }

  /** Moves single full calls until no move helps, or the wanted PSNR is reached; says whether it was. */
  async #refine(start: Tried, wanted = Infinity): Promise<boolean> {
    let best = start;
    for (let improved = true; improved && best.psnr < wanted; ) {
      improved = false;
      for (const moved of this.#candidates.moves(best).slice(0, MAX_MOVES)) {
        if (this.trials.isOver()) return false;
        if ((await this.trials.gain(moved, best)) < MIN_GAIN) continue;
        best = await this.#try(moved);
        improved = true;
        break;
      }
    }
    return best.psnr >= wanted;
  }

  /** What may be between full calls. */
  get #betweens(): Between[] {
    return this.#rules.length > 0 ? [...this.branches, 'predict'] : [...this.branches];
  }

  async #try(schedule: Schedule | undefined): Promise<Tried> {
    const known = schedule as Schedule;
    const tried = { ...known, psnr: await this.trials.psnr(known) };
    this.#tried.set(keyOf(known), tried);
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
    return this.trials.speedup('steps' in one ? candidateOf(one) : one);
  }
}

const isPrediction = ({ between }: Schedule) => between === 'predict';
const isDefined = <T>(value: T | undefined): value is T => value !== undefined;

import type { CachePreset } from '../deepcache/index.js';
import type { Tried, TuneBudget } from './budget.js';
import { merit } from './likeness.js';
import { maximum } from './maximum.js';
import { type Candidate, candidateOf, keyOf, type Schedule } from './schedule.js';
import type { Trials } from './trials.js';

/**
 * Of a speed that is asked for, this is enough: a predicted call takes a little time, too, and half of the calls would
 * never be half of the time. Times of calls are not known better than that.
 */
const ENOUGH = 0.99;

/** What was tried within a budget, and which of it is the best. */
export class Tries {
  readonly #tried = new Map<string, Tried>();
  readonly #even: Tried[] = [];

  constructor(
    private readonly trials: Trials,
    /** What a preset's speed is, calls have to say first. */
    public limit: Exclude<TuneBudget, { preset: CachePreset }>,
  ) {}

  isWithin(tried: Tried): boolean {
    if ('minPsnr' in this.limit) return tried.psnr >= this.limit.minPsnr;
    return this.isFast(tried);
  }

  /** Whether something is as fast as the budget wants it, if it wants that. */
  isFast(one: Candidate | Schedule): boolean {
    return !('speedup' in this.limit) || this.speedup(one) >= ENOUGH * this.limit.speedup;
  }

  speedup(one: Candidate | Schedule): number {
    return this.trials.speedup('steps' in one ? candidateOf(one) : one);
  }

  async try(schedule: Schedule): Promise<Tried> {
    const decibels = await this.trials.decibels(schedule);
    const tried = { ...schedule, psnr: await this.trials.psnr(schedule), merit: merit(decibels) };
    this.#tried.set(keyOf(schedule), tried);
    return tried;
  }

  /** Undefined when there is no time, and something was tried. */
  async tryEven(schedule: Schedule): Promise<Tried | undefined> {
    if (this.#even.length > 0 && this.trials.isOver()) return undefined;
    const tried = await this.try(schedule);
    this.#even.push(tried);
    return tried;
  }

  /** Whether a preset or interval that fits is at least so fast. */
  hasEven(speedup: number): boolean {
    return this.#even.some((even) => this.isWithin(even) && this.speedup(even) >= speedup);
  }

  /** The best that was tried; undefined before the first. */
  answer(): Tried | undefined {
    return this.bestThat(() => true);
  }

  /** The best of those tried for which something holds, and that the best even setting is not closer than on the average. */
  bestThat(holds: (tried: Tried) => boolean): Tried | undefined {
    const least = 'speedup' in this.limit ? (this.even?.psnr ?? -Infinity) : -Infinity;
    return this.best([...this.#tried.values()].filter((tried) => tried.psnr >= least && holds(tried)));
  }

  /** The best of the presets and intervals that were tried. */
  get even(): Tried | undefined {
    return this.best(this.#even);
  }

  /**
   * The best of some schedules: the closest to the uncached result of those that are fast enough, or the fastest of those
   * that are close enough, and when none is, the one that is nearest to being so: what times of calls are is only found on the way.
   * How close they are: see {@link merit}.
   */
  best(tried: readonly Tried[]): Tried | undefined {
    const within = tried.filter((one) => this.isWithin(one));
    const byMerit = (list: readonly Tried[]) => maximum(list, (one) => one.merit);
    if ('speedup' in this.limit) {
      return within.length > 0 ? byMerit(within) : maximum(tried, (one) => this.speedup(one));
    }
    const top = Math.max(...within.map((one) => this.speedup(one)));
    const fastest = within.filter((one) => this.speedup(one) === top);
    return fastest.length > 0 ? byMerit(fastest) : maximum(tried, ({ psnr }) => psnr);
  }

  /** Those tried that take as long as one of them, and are of its kind, the best first. */
  like({ steps, between }: Schedule): Tried[] {
    const alike = [...this.#tried.values()].filter(
      (tried) => tried.between === between && tried.steps.length === steps.length,
    );
    return alike.sort((a, b) => b.merit - a.merit);
  }
}

import type { Tried } from './budget.js';
import { merit, tipsOver } from './likeness.js';
import { goesOn, isForecast, keyOf, type Schedule } from './schedule.js';
import type { Trials } from './trials.js';
import type { Tries } from './tries.js';

/** A schedule beside the best even one, in mean decibels on the same prompts and seeds. */
export interface TuneFigures {
  /** Decibels to pictures without a cache. */
  psnr: number;
  /** Decibels of evenly spaced full calls of the same number. */
  evenPsnr: number;
  /** How much better it is. */
  gain: number;
  /** Decibels of the picture that is least like its uncached one. */
  worst: number;
  /** The same of the even one. */
  evenWorst: number;
  /** On so many prompts. */
  prompts: number;
}

/** A schedule's figures beside an even one's, from runs that were made. */
export async function figures(trials: Trials, schedule: Schedule, even: Schedule): Promise<TuneFigures> {
  const [each, evenEach] = [await trials.decibels(schedule), await trials.decibels(even)];
  const [psnr, evenPsnr] = [await trials.psnr(schedule), await trials.psnr(even)];
  return {
    psnr,
    evenPsnr,
    gain: psnr - evenPsnr,
    worst: Math.min(...each),
    evenWorst: Math.min(...evenEach),
    prompts: each.length,
  };
}

/** What a search found against the best even setting, with what it has not seen. Never the worse of the two. */
export class Decision {
  /** What other noise says, the best first. */
  #ranked: readonly Tried[] = [];

  constructor(
    private readonly tries: Tries,
    /** The best so far. */
    public best: Tried,
    private readonly even: Tried,
    /** The runs that were searched with. */
    private readonly trials: Trials,
  ) {}

  /** Among schedules that take the same time, chooses by the same prompts with other noise too, as its luck may be. */
  async amongFinalists(finalists: readonly Tried[], trials: Trials): Promise<void> {
    const { tries, even } = this;
    const candidates = [this.best, ...finalists.filter((tried) => this.#isGood(tried))];
    await trials.start();
    let left: Tried[] = [];
    for (const tried of [even, ...candidates]) {
      const again = { psnr: await trials.psnr(tried), merit: merit(await trials.decibels(tried)) };
      left.push({ ...tried, psnr: (tried.psnr + again.psnr) / 2, merit: (tried.merit + again.merit) / 2 });
    }
    const ranked: Tried[] = [];
    for (let next = tries.best(left); next && keyOf(next) !== keyOf(even); next = tries.best(left)) {
      const key = keyOf(next);
      const known = candidates.find((tried) => keyOf(tried) === key);
      if (known) ranked.push(known);
      left = left.filter((tried) => keyOf(tried) !== key);
    }
    this.#ranked = ranked;
    this.best = ranked[0] ?? even;
  }

  /**
   * Chooses by other prompts: the first of the best few, the best that goes on with no change, the best that holds features, and the
   * even one that is no worse than the even one there. Where outputs or features are forecast single pictures may tip over into others while the mean
   * gains, so these must not tip any over that the even one does not, neither there nor among those that were searched with.
   */
  async onOthers(trials: Trials): Promise<TuneFigures> {
    const { tries, best } = this;
    await trials.start();
    const even = await this.#figuresOn(trials, this.even);
    const steadier = [goesOn, isForecast].filter((forecasts) => forecasts(best));
    const candidates = [
      best,
      ...this.#ranked,
      ...steadier.map((forecasts) => tries.bestThat((one) => !forecasts(one))),
    ];
    for (const candidate of new Set(candidates)) {
      if (!candidate) continue;
      const found = await this.#figuresOn(trials, candidate);
      const isLess = 'speedup' in tries.limit && found.psnr < even.psnr;
      const isWorse = isLess || tries.best([even, found]) === even;
      if (isWorse || (isForecast(candidate) && (await this.#tipsOver(candidate, trials)))) continue;
      this.best = candidate;
      return figures(trials, candidate, this.even);
    }
    this.best = this.even;
    return figures(trials, this.even, this.even);
  }

  async #figuresOn(trials: Trials, tried: Tried): Promise<Tried> {
    return { ...tried, psnr: await trials.psnr(tried), merit: merit(await trials.decibels(tried)) };
  }

  async #tipsOver(candidate: Schedule, others: Trials): Promise<boolean> {
    for (const trials of [this.trials, others]) {
      if (tipsOver(await trials.decibels(candidate), await trials.decibels(this.even))) return true;
    }
    return false;
  }

  /** Whether it is within the budget as the best is, and not less like than the even setting of a given speed. */
  #isGood(tried: Tried): boolean {
    const { tries, best, even } = this;
    const isSlower = tries.best([even, tried]) === even;
    return tries.isWithin(tried) === tries.isWithin(best) && !isSlower;
  }
}

import type { Tried } from './budget.js';
import { goesOn, isForecast, keyOf, type Schedule } from './schedule.js';
import type { Search } from './search.js';
import type { Trials } from './trials.js';

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
  constructor(
    private readonly search: Search,
    /** The best so far. */
    public best: Tried,
    private readonly even: Tried,
  ) {}

  /** Among schedules that take the same time, chooses by the same prompts with other noise too, as its luck may be. */
  async amongFinalists(finalists: readonly Tried[], trials: Trials): Promise<void> {
    const { search, even } = this;
    const candidates = [this.best, ...finalists.filter((tried) => this.#isGood(tried))];
    await trials.start();
    const averaged: Tried[] = [];
    for (const tried of [even, ...candidates]) {
      averaged.push({ ...tried, psnr: (tried.psnr + (await trials.psnr(tried))) / 2 });
    }
    const chosen = keyOf(search.best(averaged) as Tried);
    this.best = candidates.find((tried) => keyOf(tried) === chosen) ?? even;
  }

  /**
   * Chooses by other prompts: the first of the best, the best that goes on with no change, the best that holds features, and the
   * even one that is no worse than the even one there. Where outputs or features are forecast single pictures may tip over into others while the mean
   * gains, so their worst picture must not lose either.
   */
  async onOthers(trials: Trials): Promise<TuneFigures> {
    const { search } = this;
    await trials.start();
    const even = { ...this.even, psnr: await trials.psnr(this.even) };
    const steadier = [goesOn, isForecast].filter((forecasts) => forecasts(this.best));
    const candidates = [this.best, ...steadier.map((forecasts) => search.bestThat((one) => !forecasts(one)))];
    for (const candidate of candidates) {
      if (!candidate) continue;
      const found = await figures(trials, candidate, this.even);
      const isWorse = search.best([even, { ...candidate, psnr: found.psnr }]) === even;
      const tips = isForecast(candidate) && found.worst < found.evenWorst;
      if (isWorse || tips) continue;
      this.best = candidate;
      return found;
    }
    this.best = this.even;
    return figures(trials, this.even, this.even);
  }

  /** Whether it is within the budget as the best is, and not less like than the even setting of a given speed. */
  #isGood(tried: Tried): boolean {
    const { search, best, even } = this;
    const isSlower = search.best([even, tried]) === even;
    return search.isWithin(tried) === search.isWithin(best) && !isSlower;
  }
}

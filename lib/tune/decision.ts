import type { Search, Tried } from './search.js';
import { keyOf, type Trials } from './trials.js';

/** A schedule beside the best even one, in mean decibels on the same prompts and seeds. */
export interface TuneFigures {
  /** Decibels to pictures without a cache. */
  psnr: number;
  /** Decibels of evenly spaced full calls of the same number. */
  evenPsnr: number;
  /** How much better it is. */
  gain: number;
}

export const figures = (psnr: number, evenPsnr: number): TuneFigures => ({
  psnr,
  evenPsnr,
  gain: psnr - evenPsnr,
});

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

  /** Chooses the even setting where it is better on other prompts. */
  async onOthers(trials: Trials): Promise<TuneFigures> {
    await trials.start();
    const even = { ...this.even, psnr: await trials.psnr(this.even) };
    const best = { ...this.best, psnr: await trials.psnr(this.best) };
    const winner = this.search.best([even, best]) as Tried;
    if (winner === even) this.best = this.even;
    return figures(winner.psnr, even.psnr);
  }

  /** Whether it is within the budget as the best is, and not less like than the even setting of a given speed. */
  #isGood(tried: Tried): boolean {
    const { search, best, even } = this;
    const isSlower = search.best([even, tried]) === even;
    return search.isWithin(tried) === search.isWithin(best) && !isSlower;
  }
}

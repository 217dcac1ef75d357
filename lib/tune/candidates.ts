import { ForecastCosts } from './forecast-costs.js';
import { GapCosts, measureGrowth } from './gaps.js';
import { neighbours, nonuniformLists, uniformList } from './lists.js';
import type { Between, Schedule } from './schedule.js';
import type { Trials } from './trials.js';

/** Full calls are moved this far at once. */
const REACH = 2;

/** Full calls, and what is between them, of schedules that take the same time. */
export interface Candidate {
  count: number;
  between: Between;
}

/**
 * Schedules worth trying, by what gaps between full calls cost as far as it was measured: {@link GapCosts} where calls
 * retrieve, {@link ForecastCosts} where they are predicted.
 */
export class Candidates {
  readonly #costs = new Map<number, GapCosts>();
  #forecasts: ForecastCosts | undefined;

  constructor(private readonly trials: Trials) {}

  /** As long as there is time. */
  async measure(branches: readonly number[], canPredict: boolean): Promise<void> {
    const { trials } = this;
    const [first] = branches;
    const growth = first === undefined ? undefined : await measureGrowth(trials, first);
    if (!growth) return;
    const { uncached } = trials;
    if (uncached && canPredict) this.#forecasts = await ForecastCosts.measure(uncached, growth);
    for (const branch of branches) {
      const costs = await GapCosts.measure(trials, branch, growth);
      if (costs) this.#costs.set(branch, costs);
    }
  }

  /** Lists worth trying, the most promising first: by the costs of gaps, the evenly spaced and the paper's. */
  lists({ count, between }: Candidate): Schedule[] {
    const { calls } = this.trials;
    const uniform = uniformList(calls, count);
    if (between === 'predict') return [...(this.#forecasts?.best(count) ?? []), { steps: uniform, between }];
    const nonuniform = nonuniformLists(calls, count);
    const costs = this.#costs.get(between);
    const best = costs?.bestList(count);
    if (costs) nonuniform.sort((a, b) => costs.decibels(b) - costs.decibels(a));
    const lists = best ? [best, uniform, ...nonuniform.slice(0, 1)] : [uniform, ...nonuniform];
    return lists.map((steps) => ({ steps, between }));
  }

  /** With one full call moved, the most promising first. */
  moves({ steps, between, rule = 'held' }: Schedule): Schedule[] {
    const lists = neighbours(steps, this.trials.calls, REACH);
    if (between === 'predict') {
      const forecasts = this.#forecasts;
      if (!forecasts) return lists.map((moved) => ({ steps: moved, between }));
      const moves = lists.map((moved) => forecasts.schedule(moved, rule));
      return moves.sort((a, b) => forecasts.decibels(b) - forecasts.decibels(a));
    }
    const costs = this.#costs.get(between);
    if (costs) lists.sort((a, b) => costs.decibels(b) - costs.decibels(a));
    return lists.map((moved) => ({ steps: moved, between }));
  }
}

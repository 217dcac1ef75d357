import { ForecastCosts } from './forecast-costs.js';
import { GapCosts, measureGrowth } from './gaps.js';
import { neighbours, nonuniformLists, uniformList } from './lists.js';
import type { Candidate, ForecastRule, Schedule } from './schedule.js';
import type { Trials } from './trials.js';

/** Full calls are moved this far at once. */
const REACH = 2;
/** Of the change of features, the share that goes on: what suits long gaps, usual ones, and the straight line. */
const FEATURES = [0.5, 0.7, 1];
/** The same beside predicted calls. */
const MIXED = 0.7;
/** So many full calls may go for retrieved ones among predictions. */
const MOST_LESS = 2;

/**
 * Schedules worth trying, by what gaps between full calls cost as far as it was measured: {@link GapCosts} where calls
 * retrieve, {@link ForecastCosts} where they are predicted.
 */
export class Candidates {
  readonly #costs = new Map<number, GapCosts>();
  #forecasts: ForecastCosts | undefined;

  constructor(private readonly trials: Trials) {}

  /** As long as there is time. */
  async measure(branches: readonly number[], rules: readonly ForecastRule[]): Promise<void> {
    const { trials } = this;
    const [first] = branches;
    const growth = first === undefined ? undefined : await measureGrowth(trials, first);
    if (!growth) return;
    const { uncached } = trials;
    if (uncached && rules.length > 0) this.#forecasts = await ForecastCosts.measure(uncached, growth, rules);
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

  /** The same full calls with features that go on, instead of being held. */
  withFeatures(schedule: Schedule): Schedule[] {
    if (schedule.between === 'predict' || schedule.steps.length < 2) return [];
    return FEATURES.map((features) => ({ ...schedule, features }));
  }

  /**
   * A prediction with as many calls retrieved instead as its time has room for, or that of full calls less: those where
   * forecasts leave the most, with features that go on, and held.
   */
  mixed(schedule: Schedule, branch: number, speedup: number): Schedule[] {
    const forecasts = this.#forecasts;
    if (!forecasts) return [];
    const { steps, rule } = schedule;
    return Array.from({ length: Math.min(MOST_LESS, steps.length - 2) + 1 }, (_, less) => {
      const count = steps.length - less;
      const list = less === 0 ? schedule : forecasts.best(count).find((one) => one.rule === rule);
      const worst = (list && forecasts.worstCalls(list).slice(0, this.#room(count, branch, speedup))) ?? [];
      if (!list || worst.length === 0) return [];
      const retrieved = { calls: worst.sort((a, b) => a - b), branch };
      return [MIXED, 0].map((features) => ({ ...list, features, retrieved }));
    }).flat();
  }

  /** How many predicted calls may be retrieved instead. */
  #room(count: number, branch: number, speedup: number): number {
    const { trials } = this;
    let room = 0;
    const fits = (calls: number) =>
      trials.speedup({ count, between: 'predict', retrieved: { count: calls, branch } }) >= speedup;
    while (room < trials.calls - count && fits(room + 1)) room++;
    return room;
  }

  /** With one full call moved, the most promising first. */
  moves({ steps, between, rule = 'held', features }: Schedule): Schedule[] {
    const lists = neighbours(steps, this.trials.calls, REACH);
    if (between === 'predict') {
      const forecasts = this.#forecasts;
      if (!forecasts) return lists.map((moved) => ({ steps: moved, between }));
      const moves = lists.map((moved) => forecasts.schedule(moved, rule));
      return moves.sort((a, b) => forecasts.decibels(b) - forecasts.decibels(a));
    }
    const costs = this.#costs.get(between);
    if (costs) lists.sort((a, b) => costs.decibels(b) - costs.decibels(a));
    return lists.map((moved) => ({ steps: moved, between, ...(features && { features }) }));
  }
}

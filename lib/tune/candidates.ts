import type { Tried } from './budget.js';
import { ForecastCosts } from './forecast-costs.js';
import { Foresight } from './foresight.js';
import { GapCosts } from './gaps.js';
import { measureGrowth } from './growth.js';
import { neighbours, nonuniformLists, uniformList } from './lists.js';
import type { Candidate, ForecastRule, Schedule } from './schedule.js';
import type { Trials } from './trials.js';

/** Full calls are moved this far at once. */
const REACH = 2;
/** Of the change of features, the share that goes on: what suits long gaps, usual ones, and the straight line. */
const FEATURES = [0.5, 0.7, 1];
/** The same beside predicted calls. */
const MIXED = 0.7;

/**
 * Schedules worth trying, by what gaps between full calls cost as far as it was measured: {@link GapCosts} where calls
 * retrieve, {@link ForecastCosts} where they are predicted.
 */
export class Candidates {
  readonly #costs = new Map<number, GapCosts>();
  #forecasts: ForecastCosts | undefined;
  #foresight: Foresight | undefined;

  constructor(private readonly trials: Trials) {}

  /** What gaps of predicted calls cost, as long as there is time. */
  async measureForecasts(rules: readonly ForecastRule[]): Promise<void> {
    const { uncached } = this.trials;
    if (!uncached) return;
    const growth = await measureGrowth(this.trials, 'predict');
    this.#forecasts = await ForecastCosts.measure(uncached, growth, rules);
    this.#foresight = new Foresight(this.#forecasts);
  }

  /** What gaps of branches cost, as long as there is time. */
  async measureGaps(branches: readonly number[]): Promise<void> {
    const [first] = branches;
    if (first === undefined || this.trials.isOver()) return;
    const growth = await measureGrowth(this.trials, first);
    for (const branch of branches) {
      const costs = await GapCosts.measure(this.trials, branch, growth);
      if (costs) this.#costs.set(branch, costs);
    }
  }

  /** Lists worth trying, the most promising first: by the costs of gaps, the evenly spaced and the paper's. */
  lists({ count, between }: Candidate): Schedule[] {
    const { calls } = this.trials;
    const uniform = uniformList(calls, count);
    if (between === 'predict') return [...this.#predictions(count), { steps: uniform, between }];
    const nonuniform = nonuniformLists(calls, count);
    const costs = this.#costs.get(between);
    const best = costs?.bestList(count);
    if (costs) nonuniform.sort((a, b) => costs.decibels(b) - costs.decibels(a));
    const lists = best ? [best, uniform, ...nonuniform.slice(0, 1)] : [uniform, ...nonuniform];
    return lists.map((steps) => ({ steps, between }));
  }

  /** The best lists of predictions, those first that are likely to be the closest. */
  #predictions(count: number): Schedule[] {
    const lists = this.#forecasts?.best(count) ?? [];
    const likely = new Map(lists.map((one) => [one, this.#foresight?.psnr(one)]));
    if ([...likely.values()].includes(undefined)) return lists;
    return lists.sort((a, b) => (likely.get(b) as number) - (likely.get(a) as number));
  }

  /** The mean decibels that the best list is likely to have; undefined where nothing is known of it. */
  foretold({ count, between }: Candidate): number | undefined {
    const [best] = between === 'predict' ? this.#predictions(count) : [];
    return best && this.#foresight?.psnr(best);
  }

  /** What a run has shown of a list that was named here. */
  learn({ psnr, ...schedule }: Tried): void {
    if (schedule.between === 'predict' && schedule.rule) this.#foresight?.learn(schedule, psnr);
  }

  /** The same full calls with features that go on, instead of being held. */
  withFeatures(schedule: Schedule): Schedule[] {
    if (schedule.between === 'predict' || schedule.steps.length < 2) return [];
    return FEATURES.map((features) => ({ ...schedule, features }));
  }

  /**
   * A prediction with as many calls retrieved instead as its time has room for, or that of a full call less: those behind full calls
   * where forecasts leave the most, as features are still like these there, or any; with features that go on, and held.
   */
  mixed(schedule: Schedule, branch: number, isFast: (one: Candidate) => boolean): Schedule[] {
    const forecasts = this.#forecasts;
    if (!forecasts) return [];
    const { steps, rule = 'held' } = schedule;
    const shorter = steps.length > 2 ? forecasts.bestBy(rule, steps.length - 1) : undefined;
    const mixes: [Schedule | undefined, (call: number) => boolean][] = [
      [schedule, (call) => steps.includes(call - 1)],
      [schedule, () => true],
      [shorter, (call) => shorter?.steps.includes(call - 1) ?? false],
    ];
    return mixes.flatMap(([list, holds]) => {
      if (!list) return [];
      const room = this.#room(list.steps.length, branch, isFast);
      const worst = forecasts.worstCalls(list).filter(holds).slice(0, room);
      if (worst.length === 0) return [];
      const retrieved = { calls: worst.sort((a, b) => a - b), branch };
      return [MIXED, 0].map((features) => ({ ...list, features, retrieved }));
    });
  }

  /** How many predicted calls may be retrieved instead. */
  #room(count: number, branch: number, isFast: (one: Candidate) => boolean): number {
    let room = 0;
    const fits = (calls: number) =>
      isFast({ count, between: 'predict', retrieved: { count: calls, branch } });
    while (room < this.trials.calls - count && fits(room + 1)) room++;
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

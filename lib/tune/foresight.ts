import type { ForecastCosts } from './forecast-costs.js';
import { mean } from './likeness.js';
import type { ForecastRule, Schedule } from './schedule.js';

/**
 * The decibels that predictions are likely to have. Errors of gaps are added up as if they had nothing to do with each other, but
 * full calls bring back what earlier gaps left, more where forecasts are good (with the demo model sums are up to 7 decibels
 * below what runs come to); and they are of latents, not of pictures. Both are about the same for lists of one rule with about as many full calls:
 * what runs have shown is added to the others of their rule.
 */
export class Foresight {
  readonly #known: { rule: ForecastRule; count: number; offset: number }[] = [];

  constructor(private readonly costs: ForecastCosts) {}

  /** What a run of a prediction, whose factors are those of its rule, has shown in mean decibels. */
  learn(schedule: Schedule, psnr: number): void {
    const { steps, rule = 'held' } = schedule;
    this.#known.push({ rule, count: steps.length, offset: psnr - this.costs.decibels(schedule) });
  }

  /** Mean decibels of the pictures; undefined before any run. */
  psnr(schedule: Schedule): number | undefined {
    const { steps, rule = 'held' } = schedule;
    if (this.#known.length === 0) return undefined;
    const own = this.#known.filter((known) => known.rule === rule);
    const far = ({ count }: { count: number }) => Math.abs(count - steps.length);
    const known = own.length > 0 ? own : this.#known;
    const nearest = Math.min(...known.map(far));
    const offsets = known.filter((one) => far(one) === nearest).map(({ offset }) => offset);
    return this.costs.decibels(schedule) + mean(offsets);
  }
}

import { cheapestList } from './lists.js';
import type { Trials } from './trials.js';
import { mostDecibels, toDecibels } from './weighing.js';

/** More full calls than this are no places of their own: only every second call then, and so on. */
const MAX_PLACES = 64;
/** So small an error is none. */
const TINY = 1e-12;

/** The first calls of gaps: all calls, or evenly spread ones of a long run. */
export function placesOf(calls: number): number[] {
  const step = Math.ceil(calls / MAX_PLACES);
  return Array.from({ length: Math.ceil(calls / step) }, (_, i) => i * step);
}

/**
 * What gaps between full calls cost, of one branch: the squared error that each gap alone leaves in the final latents
 * of each picture. Errors of several gaps add up nearly enough (with the demo model a list's real and added errors
 * correlate to 0.99), so the best list of any length follows without trying lists.
 */
export class GapCosts {
  private constructor(
    private readonly calls: number,
    /** By first call and end; each of the pictures. */
    private readonly costs: readonly (readonly (readonly number[])[])[],
  ) {}

  /**
   * A run for each place: full up to there, cached from then on. What it strays until a call is what the gap up to
   * that call does. Undefined when there was no time.
   */
  static async measure(
    trials: Trials,
    branch: number,
    growth: readonly (readonly number[])[],
  ): Promise<GapCosts | undefined> {
    const { calls } = trials;
    const costs: number[][][] = Array.from({ length: calls }, () => []);
    for (const start of placesOf(calls)) {
      if (trials.isOver()) return undefined;
      const steps = Array.from({ length: start + 1 }, (_, i) => i);
      const errors = await trials.errors({ steps, between: branch });
      costs[start] = errors.map((each, end) =>
        each.map((error, i) => error * (growth[end]?.[i] ?? growth[calls]?.[i] ?? 1)),
      );
    }
    return new GapCosts(calls, costs);
  }

  /** The squared error that a list leaves in each picture. */
  errors(list: readonly number[]): number[] {
    const sums: number[] = [];
    for (const [i, start] of list.entries()) {
      const gap = this.costs[start]?.[list[i + 1] ?? this.calls] ?? [];
      for (const [picture, error] of gap.entries()) sums[picture] = (sums[picture] ?? TINY) + error;
    }
    return sums;
  }

  decibels(list: readonly number[]): number {
    return toDecibels(this.errors(list));
  }

  /** The list of so many full calls with the most decibels. */
  bestList(count: number): number[] | undefined {
    return mostDecibels(
      this.calls,
      count,
      (list) => this.errors(list),
      (weights) =>
        cheapestList(placesOf(this.calls), this.calls, count, (start, end) =>
          (this.costs[start]?.[end] ?? []).reduce((sum, error, i) => sum + error * (weights[i] as number), 0),
        ),
    );
  }
}

import type { NoiseLevel } from '../schedulers/index.js';
import { pause } from '../slices.js';
import { cheapestPairs, type Gap } from './cheapest-pairs.js';
import { type Factors, forecastFactors, HELD } from './forecast-factors.js';
import { placesOf } from './gaps.js';
import { type ForecastRule, type Schedule, keyOf as scheduleKey } from './schedule.js';
import type { UncachedRun } from './uncached.js';
import { type Aim, mostDecibels, scoreOf, toDecibels } from './weighing.js';

/** Longer gaps are not looked at: forecasts of so many calls are worth nothing. */
const MAX_GAP = 16;
/** So small an error is none. */
const TINY = 1e-12;
/** The most promising rules of each aim are run. */
const MOST_RULES = 3;
const AIMS: readonly Aim[] = ['typical', 'worst'];

/** The calls between full ones `last` and `end`, predicted from `last` and the full call before it, -1: none. */
interface PredictedGap {
  /** Of its calls. */
  factors: Factors[];
  /** Of each picture, the squared error that it leaves in the final latents, as a share of their square. */
  errors: number[];
}

/**
 * What gaps of predicted calls cost, by arithmetic on what an uncached run found, without further runs. In y = x / alpha,
 * over s = sigma / alpha, a step is a straight one along the noise (Song et al. 2020, equation 14), so a gap between
 * full calls k and l, with forecasts z^ of the noise z, leaves the error sum over i of (s_i+1 - s_i) (z^_i - z_i) at l;
 * what that becomes by the end was measured (`growth`). The forecasts are those of {@link forecastFactors}.
 */
export class ForecastCosts {
  readonly #best = new Map<number, readonly Schedule[]>();

  private constructor(
    private readonly calls: number,
    private readonly places: readonly number[],
    private readonly rules: readonly ForecastRule[],
    private readonly gaps: Readonly<Record<ForecastRule, ReadonlyMap<string, PredictedGap>>>,
  ) {}

  static async measure(
    run: UncachedRun,
    growth: readonly (readonly number[])[],
    rules: readonly ForecastRule[],
  ): Promise<ForecastCosts> {
    const { calls } = run;
    const places = placesOf(calls);
    const gaps = Object.fromEntries(rules.map((rule) => [rule, new Map()])) as Record<
      ForecastRule,
      Map<string, PredictedGap>
    >;
    for (const last of places) {
      for (const before of [-1, ...places.filter((place) => place < last)]) {
        for (const rule of rules) {
          for (const [end, gap] of predictedGaps(run, growth, before, last, rule)) {
            if (end === calls || places.includes(end)) gaps[rule].set(keyOf(before, last, end), gap);
          }
          await pause();
        }
      }
    }
    return new ForecastCosts(calls, places, rules, gaps);
  }

  /**
   * The best lists of full calls, each of another rule, the most promising first: a few for the typical picture, and as many for
   * the worst ones.
   */
  best(count: number): Schedule[] {
    const known = this.#best.get(count) ?? this.#bestLists(count);
    this.#best.set(count, known);
    return [...known];
  }

  #bestLists(count: number): Schedule[] {
    const found = AIMS.flatMap((aim) => {
      const score = (schedule: Schedule) => scoreOf(this.#errors(schedule.steps, schedule.rule), aim);
      const lists = this.rules.flatMap((rule) => this.#bestOf(rule, count, aim) ?? []);
      return lists.sort((a, b) => score(b) - score(a)).slice(0, MOST_RULES);
    });
    return [...new Map(found.map((schedule) => [scheduleKey(schedule), schedule])).values()];
  }

  /** The best list of a rule for the typical picture. */
  bestBy(rule: ForecastRule, count: number): Schedule | undefined {
    return this.#bestOf(rule, count, 'typical');
  }

  /** A list of full calls with the factors that the rule gives its predicted calls. */
  schedule(steps: readonly number[], rule: ForecastRule): Schedule {
    const factors = pairsOf(steps, this.calls).flatMap(
      ([before, last, end]) =>
        this.#gap(rule, before, last, end)?.factors ?? Array<Factors>(end - last - 1).fill(HELD),
    );
    const gamma = factors.map((each) => each.gamma);
    if (rule !== 'clean' && rule !== 'whole') return { steps, between: 'predict', rule, gamma };
    const [clean, noise] = [factors.map((each) => each.clean), factors.map((each) => each.noise)];
    return { steps, between: 'predict', rule, gamma, clean, noise };
  }

  /** The predicted calls of a list, those first that add most to what their gaps leave in the end. */
  worstCalls({ steps, rule = 'held' }: Schedule): number[] {
    const added = pairsOf(steps, this.calls).flatMap(([before, last, end]) => {
      const left = (until: number) =>
        (this.#gap(rule, before, last, until)?.errors ?? []).reduce((sum, error) => sum + error, 0);
      const predicted = Array.from({ length: end - last - 1 }, (_, i) => last + 1 + i);
      return predicted.map((call) => ({ call, more: left(call + 1) - left(call) }));
    });
    return added.sort((a, b) => b.more - a.more).map(({ call }) => call);
  }

  decibels({ steps, rule = 'held' }: Schedule): number {
    return toDecibels(this.#errors(steps, rule));
  }

  #bestOf(rule: ForecastRule, count: number, aim: Aim): Schedule | undefined {
    const list = mostDecibels(
      this.calls,
      count,
      (steps) => this.#errors(steps, rule),
      (weights) =>
        cheapestPairs(this.places, this.calls, count, (before, last, end) =>
          (this.#gap(rule, before, last, end)?.errors ?? [Infinity]).reduce(
            (sum, error, i) => sum + error * (weights[i] as number),
            0,
          ),
        ),
      aim,
    );
    return list && this.schedule(list, rule);
  }

  #gap(rule: ForecastRule, before: number, last: number, end: number): PredictedGap | undefined {
    return this.gaps[rule].get(keyOf(before, last, end));
  }

  #errors(steps: readonly number[], rule: ForecastRule = 'held'): number[] {
    const sums: number[] = [];
    for (const [before, last, end] of pairsOf(steps, this.calls)) {
      const { errors } = this.#gap(rule, before, last, end) ?? { errors: [Infinity] };
      for (const [picture, error] of errors.entries()) sums[picture] = (sums[picture] ?? TINY) + error;
    }
    return sums;
  }
}

const keyOf = (...gap: Gap) => gap.join();

/** The gaps of a list, each with the full call before. */
const pairsOf = (steps: readonly number[], calls: number): Gap[] =>
  steps.map((last, i) => [steps[i - 1] ?? -1, last, steps[i + 1] ?? calls]);

/** The gaps that begin after full calls `before` and `last`, by their end, the empty one first. */
function* predictedGaps(
  run: UncachedRun,
  growth: readonly (readonly number[])[],
  before: number,
  last: number,
  rule: ForecastRule,
): Generator<[end: number, PredictedGap]> {
  const { calls, pictures, noise, clean, levels, squares } = run;
  const held = noise[last] as Float32Array;
  const older = before < 0 ? held : (noise[before] as Float32Array);
  const size = held.length / pictures;
  const strayed = new Float64Array(held.length);
  const x0 = clean[last] as Float32Array;
  const factors: Factors[] = [];
  const factorsOf = forecastFactors(run, before, last, rule);
  const longest = Math.max(MAX_GAP, 2 * Math.ceil(calls / placesOf(calls).length));
  for (let end = last + 1; end <= Math.min(calls, last + 1 + longest); end++) {
    const { sqrtAlpha: alpha } = levels[end] ?? { sqrtAlpha: 1 };
    const errors = squares.map((square, picture) => {
      let sum = 0;
      for (let i = picture * size; i < (picture + 1) * size; i++) sum += (strayed[i] as number) ** 2;
      return ((sum * alpha * alpha) / square) * (growth[end]?.[picture] ?? growth[calls]?.[picture] ?? 1);
    });
    yield [end, { factors: [...factors], errors }];
    if (end === calls) return;
    const each = factorsOf(end);
    factors.push(each);
    const step = levelAt(levels, end + 1) - levelAt(levels, end);
    const real = noise[end] as Float32Array;
    for (let i = 0; i < real.length; i++) {
      const [now, then] = [held[i] as number, older[i] as number];
      const added = each.noise * now + each.clean * (x0[i] as number);
      const forecast = now + each.gamma * (now - then) + added;
      strayed[i] = (strayed[i] as number) + step * (forecast - (real[i] as number));
    }
  }
}

/** sigma / alpha; behind the last call there is no noise. */
function levelAt(levels: readonly NoiseLevel[], call: number): number {
  const level = levels[call];
  return level ? level.sigma / level.sqrtAlpha : 0;
}

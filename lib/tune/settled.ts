import type { NoiseLevel } from '../schedulers/index.js';
import type { Gap } from './cheapest-pairs.js';
import { type Factors, HELD, round } from './forecast-factors.js';
import { product, solved } from './least-squares.js';
import type { ForecastRule, Schedule } from './schedule.js';
import type { Trials } from './trials.js';
import type { UncachedRun } from './uncached.js';

/** Rounds of weighing pictures by what is left of them. */
const ROUNDS = 6;
/** So small an error, as a share of the picture, is none. */
const TINY = 1e-9;

type Name = keyof Factors;

/**
 * The factors of a prediction's calls by what its own runs find, not the uncached one: behind a gap full calls find another noise,
 * and what they find can bring the latents back. Gap after gap, a run with the factors so far tells where the latents are at its
 * end; those of its calls grow with log(alpha / sigma) from the last full call on, by what brings the latents closest to
 * the uncached ones. Pictures count by the share of their error that it takes away, as decibels do.
 *
 * @param names of the factors that may be used.
 * @returns undefined where there was no time, or no noise to find.
 */
export async function settled(
  trials: Trials,
  { steps }: Schedule,
  names: readonly Name[],
): Promise<Schedule | undefined> {
  const { uncached, calls } = trials;
  if (!uncached) return undefined;
  const factors: Factors[] = Array.from({ length: calls }, () => HELD);
  for (const [i, last] of steps.entries()) {
    const gap: Gap = [steps[i - 1] ?? -1, last, steps[i + 1] ?? calls];
    if (gap[2] === last + 1) continue;
    if (trials.isOver()) return undefined;
    const run = await trials.told(scheduleOf(steps, factors, names), gap[2]);
    if (!run) return undefined;
    const places = Array.from({ length: gap[2] - last - 1 }, (_, n) => last + 1 + n);
    const distances = places.map((call) => distance(uncached.levels, last, call));
    const found = closest(run, uncached, [steps[i - 2] ?? -1, ...gap], distances, names);
    for (const [n, call] of places.entries()) {
      const share = (name: Name) => round((found[name] ?? 0) * (distances[n] as number));
      factors[call] = {
        ...{ gamma: share('gamma'), curve: share('curve') },
        ...{ clean: share('clean'), noise: share('noise') },
      };
    }
  }
  return scheduleOf(steps, factors, names);
}

/** By which rule others like it would be. */
function ruleOf(names: readonly Name[]): ForecastRule {
  if (!names.includes('clean')) return 'fitted';
  return names.length === 1 ? 'clean' : 'whole';
}

function scheduleOf(steps: readonly number[], factors: readonly Factors[], names: readonly Name[]): Schedule {
  const full = new Set(steps);
  const predicted = factors.filter((_, call) => !full.has(call));
  return {
    ...{ steps, between: 'predict', rule: ruleOf(names) },
    gamma: predicted.map(({ gamma }) => gamma),
    curve: predicted.map(({ curve }) => curve),
    clean: predicted.map(({ clean }) => clean),
    noise: predicted.map(({ noise }) => noise),
  };
}

/** How far a call is behind another one in log(alpha / sigma). */
function distance(levels: readonly NoiseLevel[], from: number, to: number): number {
  const [a, b] = [levels[from], levels[to]] as [NoiseLevel, NoiseLevel];
  const step = Math.log(b.sqrtAlpha / b.sigma) - Math.log(a.sqrtAlpha / a.sigma);
  // Pure noise is infinitely far away.
  return Number.isFinite(step) ? step : 1;
}

/** By how much of each part, at the distance 1, a gap's forecasts bring the latents at its end closest to the uncached ones. */
function closest(
  run: UncachedRun,
  { latents: wanted, levels, pictures, squares }: UncachedRun,
  [first, before, last, end]: [number, ...Gap],
  distances: readonly number[],
  names: readonly Name[],
): Partial<Factors> {
  const held = run.noise[last] as Float32Array;
  const older = run.noise[before];
  const oldest = run.noise[first];
  const parts = {
    clean: run.clean[last],
    noise: held,
    gamma: older && held.map((value, i) => value - (older[i] as number)),
    curve:
      older && oldest && held.map((value, i) => value - 2 * (older[i] as number) + (oldest[i] as number)),
  };
  const used = names.flatMap((name) => {
    const part = parts[name];
    return part ? [{ name, part }] : [];
  });
  // Along a step latents move straight along the noise, in x / alpha over sigma / alpha.
  const moved = distances.reduce((sum, far, n) => {
    const call = last + 1 + n;
    return sum + far * (ratioAt(levels, call + 1) - ratioAt(levels, call));
  }, 0);
  const scale = moved * (levels[end]?.sqrtAlpha ?? 1);
  const [is, should] = [run.latents[end - 1], wanted[end - 1]] as [Float32Array, Float32Array];
  const missing = is.map((value, i) => (should[i] as number) - value);
  const size = missing.length / pictures;
  const each = squares.map((square, picture) => {
    const sum = (a: Float32Array, b: Float32Array) => product(a, b, picture * size, (picture + 1) * size);
    return {
      left: sum(missing, missing),
      least: TINY * square,
      matrix: used.map(({ part }) => used.map((other) => scale * scale * sum(part, other.part))),
      wanted: used.map(({ part }) => scale * sum(part, missing)),
    };
  });
  let found = used.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    const weights = each.map(({ left, least, matrix, wanted: by }) => {
      const taken = found.reduce((sum, x, i) => sum + 2 * x * (by[i] as number), 0);
      const added = found.reduce(
        (sum, x, i) => sum + x * found.reduce((row, y, k) => row + y * (matrix[i]?.[k] as number), 0),
        0,
      );
      return 1 / Math.max(left - taken + added, least);
    });
    const weighed = (numberOf: (one: (typeof each)[number]) => number) =>
      each.reduce((sum, one, i) => sum + (weights[i] as number) * numberOf(one), 0);
    found = solved(
      used.map((_, i) => used.map((__, k) => weighed(({ matrix }) => matrix[i]?.[k] as number))),
      used.map((_, i) => weighed(({ wanted: by }) => by[i] as number)),
    );
  }
  return Object.fromEntries(used.map(({ name }, i) => [name, found[i]]));
}

/** sigma / alpha; behind the last call there is no noise. */
function ratioAt(levels: readonly NoiseLevel[], call: number): number {
  const level = levels[call];
  return level ? level.sigma / level.sqrtAlpha : 0;
}

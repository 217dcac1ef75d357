import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { type Complex, power as exactPower, linspace, realPower, roughPower } from './complex.js';

/** How much the power is lowered when its list comes out too short. */
const POWER_STEP = 0.02;
/** The sharpest schedule that is made: further up all calls gather at the center. */
export const MAX_POWER = 100;

/** Calls of a non-uniform schedule. */
export interface NonuniformList {
  /** The full calls, ascending from 0. */
  indices: number[];
  /** The power that gave enough different calls: the one asked for, or a lower one. */
  power: number;
}

/**
 * The non-uniform schedule of the DeepCache paper: `count` full calls out of `steps`, densest around `center`.
 * The points are evenly spaced in signed (i - center)^(1/power). Left of the center that root of a negative number is
 * complex in the original (Python's principal value), the line between the ends runs through the complex plane, and
 * the real part is cut to a whole number; the exact lists follow from that, so it is done the same way here.
 *
 * Throws ERR_DEEPCACHE_INVALID_ARGUMENT for bad arguments and where no power above 1 gives `count` different calls.
 */
export function sampleFromQuadCenter(
  steps: number,
  count: number,
  center: number,
  power: number,
): NonuniformList {
  requireWhole('steps', steps, 1);
  requireWhole('center', center, 0, steps);
  return search(count, power, (p) => {
    const start = realPower(-center, 1 / p);
    const stop = realPower(steps - center, 1 / p);
    const values = truncated(linspace(start, stop, count + 1), p);
    return [0, ...values.slice(1, -1).map((v) => v + center)];
  });
}

/**
 * The list of the paper's latent diffusion program, densest at the first call: with few steps it has fewer than `count`
 * entries. Errors as above, but for a list that is too short.
 */
export function sampleFromQuadOnce(steps: number, count: number, power: number): number[] {
  requireWhole('steps', steps, 1);
  requireWhole('the number of full calls', count, 1);
  requirePower(power);
  return quad(steps, count, power);
}

/** The paper code's older schedule, densest at the first call. Errors as above. */
export function sampleFromQuad(steps: number, count: number, power: number): NonuniformList {
  requireWhole('steps', steps, 1);
  return search(count, power, (p) => quad(steps, count, p));
}

function quad(steps: number, count: number, power: number): number[] {
  const stop = realPower(steps, 1 / power);
  return truncated(linspace({ re: 0, im: 0 }, stop, count + 1), power).slice(0, -1);
}

/** Lowers the power until the list has `count` entries. */
function search(count: number, power: number, list: (power: number) => number[]): NonuniformList {
  requireWhole('the number of full calls', count, 1);
  requirePower(power);
  for (let p = power; p > 1; p -= POWER_STEP) {
    const indices = list(p);
    if (indices.length === count) return { indices: indices.sort((a, b) => a - b), power: p };
  }
  throw invalidArgument(
    'power',
    `${power} gives no ${count} different full calls; use a larger interval or a smaller center`,
  );
}

/** The different whole numbers among points^power, ascending. */
function truncated(points: readonly Complex[], power: number): number[] {
  const real = (point: Complex, i: number) => {
    const rough = roughPower(point, power).re;
    // The ends are the power of a root of a whole number: the last bit decides whether they keep their value.
    const edge = i === 0 || i === points.length - 1 || Math.abs(rough - Math.round(rough)) < 1e-9;
    return edge ? exactPower(point, power).re : rough;
  };
  // Adding 0 makes 0 of -0.
  const values = new Set(points.map((point, i) => Math.trunc(real(point, i)) + 0));
  return [...values].sort((a, b) => a - b);
}

function requirePower(power: unknown): void {
  if (typeof power === 'number' && power > 1 && power <= MAX_POWER) return;
  throw invalidArgument('power', `must be a number above 1 and at most ${MAX_POWER}, got ${show(power)}`);
}

function requireWhole(name: string, value: number, min: number, max = Infinity): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
  throw invalidArgument(name, `must be a whole number ${range}, got ${show(value)}`);
}

/**
 * Full calls that lie closer together towards the end of a run, as a list for the `steps` option: number i of `count` is at
 * (i / count)^power of it, the first at 0.
 *
 * @param power from 0 to 1, which is evenly spread.
 */
export function lateList(calls: number, count: number, power: number): number[] {
  const list: number[] = [];
  for (let i = 0; i < count; i++) {
    const place = Math.round(calls * (i / count) ** power);
    // All different, with room for those that follow.
    list.push(Math.min(Math.max(place, (list.at(-1) ?? -1) + 1), calls - count + i));
  }
  return list;
}

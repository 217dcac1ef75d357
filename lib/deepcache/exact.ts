/**
 * Elementary functions rounded to the nearest double, in fixed-point BigInt arithmetic. JavaScript leaves the last
 * bits of Math.exp, Math.cos and the others to the engine; where a value is cut to a whole number right at the edge,
 * as in the non-uniform schedules, those bits decide. Meant for a few values of ordinary size, not for speed.
 */

/** Fraction bits. */
const BITS = 200;
const SHIFT = BigInt(BITS);
const ONE = 1n << SHIFT;

const fixed = (value: number): bigint => BigInt(Math.trunc(value * 2 ** BITS));
// Number() rounds a BigInt to the nearest double.
const double = (value: bigint): number => Number(value) * 2 ** -BITS;
const mul = (a: bigint, b: bigint): bigint => (a * b) >> SHIFT;
const div = (a: bigint, b: bigint): bigint => (a << SHIFT) / b;

const LN2 = 2n * atanh(ONE / 3n);

export const log = (x: number): number => double(logFixed(fixed(x)));
export const log1p = (x: number): number => double(logFixed(ONE + fixed(x)));
export const exp = (x: number): number => double(expFixed(fixed(x)));
export const cos = (x: number): number => double(sinCos(fixed(x)).cos);
export const sin = (x: number): number => double(sinCos(fixed(x)).sin);

/** base^exponent for a base above 0. */
export function pow(base: number, exponent: number): number {
  return double(expFixed(mul(fixed(exponent), logFixed(fixed(base)))));
}

/** x^2 + y^2 - 1 without cancellation. */
export function squaresMinusOne(x: number, y: number): number {
  return double(mul(fixed(x), fixed(x)) + mul(fixed(y), fixed(y)) - ONE);
}

/** The angle of a point away from the origin. */
export function atan2(y: number, x: number): number {
  // One Newton step from the engine's value, which is right to 50 bits or so.
  const guess = fixed(Math.atan2(y, x));
  const turn = sinCos(guess);
  const across = mul(fixed(y), turn.cos) - mul(fixed(x), turn.sin);
  const along = mul(fixed(x), turn.cos) + mul(fixed(y), turn.sin);
  return double(guess + div(across, along));
}

function logFixed(value: bigint): bigint {
  let mantissa = value;
  let exponent = 0n;
  for (; mantissa > (3n * ONE) / 2n; exponent++) mantissa >>= 1n;
  for (; mantissa < (3n * ONE) / 4n; exponent--) mantissa <<= 1n;
  return 2n * atanh(div(mantissa - ONE, mantissa + ONE)) + exponent * LN2;
}

function expFixed(value: bigint): bigint {
  const exponent = value / LN2;
  const rest = value - exponent * LN2;
  let sum = ONE;
  let term = ONE;
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    term = mul(term, rest) / n;
    sum += term;
  }
  return exponent >= 0n ? sum << exponent : sum >> -exponent;
}

function sinCos(angle: bigint): { sin: bigint; cos: bigint } {
  let term = ONE;
  let sin = 0n;
  let cos = ONE;
  for (let n = 1n; term !== 0n; n++) {
    term = (term * angle) / (n << SHIFT);
    const signed = n % 4n < 2n ? term : -term;
    if (n % 2n === 0n) cos += signed;
    else sin += signed;
  }
  return { sin, cos };
}

function atanh(value: bigint): bigint {
  const square = mul(value, value);
  let sum = value;
  let power = value;
  for (let n = 3n; power !== 0n && power !== -1n; n += 2n) {
    power = mul(power, square);
    sum += power / n;
  }
  return sum;
}

import * as exact from './exact.js';

/**
 * Complex powers as Python and numpy form them on a PC: the operations are theirs and so is their order, the functions
 * are rounded to the nearest double as theirs (glibc's) nearly always are.
 */
export interface Complex {
  re: number;
  im: number;
}

/** Python's `base ** exponent` for a real base: complex, the principal value, where the base is negative. */
export function realPower(base: number, exponent: number): Complex {
  if (base === 0) return { re: 0, im: 0 };
  const length = exact.pow(Math.abs(base), exponent);
  if (base > 0) return { re: length, im: 0 };
  const phase = Math.PI * exponent;
  return { re: length * exact.cos(phase), im: length * exact.sin(phase) };
}

/** numpy's `base ** exponent` for an array of complex numbers: whole exponents by repeated multiplication. */
export function power(base: Complex, exponent: number): Complex {
  if (base.re === 0 && base.im === 0) return base;
  if (Number.isInteger(exponent)) return wholePower(base, exponent);
  const length = exact.exp(exponent * logLength(base));
  const phase = exponent * exact.atan2(base.im, base.re);
  return { re: length * exact.cos(phase), im: length * exact.sin(phase) };
}

/** {@link power} with the engine's functions: faster, and off in the last bits. */
export function roughPower(base: Complex, exponent: number): Complex {
  if (Number.isInteger(exponent)) return wholePower(base, exponent);
  const length = Math.hypot(base.re, base.im) ** exponent;
  const phase = exponent * Math.atan2(base.im, base.re);
  return { re: length * Math.cos(phase), im: length * Math.sin(phase) };
}

/** `count` points on the straight line from `start` to `stop`, both included (numpy.linspace). */
export function linspace(start: Complex, stop: Complex, count: number): Complex[] {
  const scale = 1 / (count - 1);
  const step = { re: (stop.re - start.re) * scale, im: (stop.im - start.im) * scale };
  return Array.from({ length: count }, (_, i) =>
    i === count - 1 ? stop : { re: i * step.re + start.re, im: i * step.im + start.im },
  );
}

/** log |z|. Near the unit circle it is taken from |z|^2 - 1, which loses nothing. */
function logLength({ re, im }: Complex): number {
  const long = Math.max(Math.abs(re), Math.abs(im));
  const short = Math.min(Math.abs(re), Math.abs(im));
  if (long === 1) return Math.log1p(short * short) / 2;
  if (long > 1 && long < 2 && short < 1) {
    const square = short >= Number.EPSILON ? short * short : 0;
    return Math.log1p((long - 1) * (long + 1) + square) / 2;
  }
  if (long >= 0.5 && long < 1 && long * long + short * short >= 0.5) {
    return Math.log1p(exact.squaresMinusOne(long, short)) / 2;
  }
  return exact.log(hypot(long, short));
}

/**
 * sqrt(long^2 + short^2) with one correction step (Borges 2019, "An improved algorithm for hypot(a, b)"): nearly but not
 * always the nearest double, so it is done as glibc does it.
 */
function hypot(long: number, short: number): number {
  const h = Math.sqrt(long * long + short * short);
  if (h <= 2 * short) {
    const delta = h - short;
    return h - (long * (2 * delta - long) + (delta - 2 * (long - short)) * delta) / (2 * h);
  }
  const delta = h - long;
  return h - (2 * delta * (long - 2 * short) + ((4 * delta - short) * short + delta * delta)) / (2 * h);
}

function wholePower(base: Complex, exponent: number): Complex {
  let result: Complex = { re: 1, im: 0 };
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

function multiply(a: Complex, b: Complex): Complex {
  return { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re };
}

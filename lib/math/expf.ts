const f32 = Math.fround;

/** a * b + c, rounded once. */
const fma = (a: number, b: number, c: number) => f32(a * b + c);

const R_LN2 = f32(Math.LOG2E);
/** ln 2 in two parts, of which the first has few digits. */
const [LN2_HIGH, LN2_LOW] = [f32(0.693145751953125), f32(1.428606765330187e-6)];

/** The coefficients of x^6 down to x^2. */
const SERIES = [
  0.00019852761761285365, 0.0013930435525253415, 0.008333360776305199, 0.041666485369205475,
  0.1666666716337204, 0.5,
].map(f32);

/**
 * exp() of a single-precision number as torch's CPU kernels compute it without MKL: SLEEF's expf (Shibata and Petrogalli
 * 2020), whose last bit is not always that of the nearest number.
 */
export function expf(x: number): number {
  const power = Math.round(f32(x * R_LN2));
  const rest = fma(power, -LN2_LOW, fma(power, -LN2_HIGH, x));
  const sum = SERIES.reduce((total, coefficient) => fma(total, rest, coefficient), 0);
  return f32(1 + fma(f32(rest * rest), sum, rest)) * 2 ** power;
}

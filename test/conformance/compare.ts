/** A manifest's tolerance: element by element (atol, rtol), or over a whole tensor; all keys that are there must hold. */
export interface Tolerance {
  atol?: number;
  rtol?: number;
  rel_l2?: number;
  max_abs?: number;
  rel_l2_latents?: number;
  rel_l2_image?: number;
  max_abs_frames?: number;
  /** As rel_l2, for every slice along the first axis. */
  rel_l2_each?: number;
  /** At least so many decibels, beside the range of the expected values. */
  psnr?: number;
}

export interface Comparison {
  role: string;
  ok: boolean;
  /** Why it failed, or how close it came. */
  detail: string;
  /** The largest error, and that as a share of what is allowed. */
  error?: number;
  share?: number;
  /** Relative L2 distance (of the worst slice), where the tolerance is about a whole tensor. */
  relative?: number;
}

/** For roles without a tolerance. */
export const EXACT_TABLE: Tolerance = { atol: 0, rtol: 1e-6 };
/** uint8 pictures may be rounded the other way. */
const UINT8: Tolerance = { atol: 1, rtol: 0 };

type Values = ArrayLike<number | bigint>;

/** Compares numbers that were computed with the expected ones; `shape` tells where an error is. */
export function compareValues(
  role: string,
  actual: Values,
  expected: Values,
  tolerance: Tolerance = EXACT_TABLE,
  shape: readonly number[] = [expected.length],
): Comparison {
  if (actual.length !== expected.length) {
    return { role, ok: false, detail: `${actual.length} values instead of ${expected.length} [${shape}]` };
  }
  const limits = expected instanceof Uint8Array && tolerance.psnr === undefined ? UINT8 : tolerance;
  if (limits.atol !== undefined || limits.rtol !== undefined) {
    return compareElements(role, actual, expected, limits, shape);
  }
  return compareNorms(role, actual, expected, limits, shape);
}

/** abs(a - b) <= atol + rtol * abs(b) for every element. */
function compareElements(
  role: string,
  actual: Values,
  expected: Values,
  { atol = 0, rtol = 0 }: Tolerance,
  shape: readonly number[],
): Comparison {
  let error = 0;
  let share = 0;
  let worst = -1;
  let wrong = 0;
  for (let i = 0; i < expected.length; i++) {
    const b = Number(expected[i]);
    const difference = Math.abs(Number(actual[i]) - b);
    const allowed = atol + rtol * Math.abs(b);
    // In this form a NaN is wrong.
    if (!(difference <= allowed)) wrong++;
    const own = difference === 0 ? 0 : difference / allowed;
    if (worst < 0 || !(own <= share)) {
      share = own;
      worst = i;
    }
    if (!(difference <= error)) error = difference;
  }
  if (wrong === 0) return { role, ok: true, detail: `largest error ${show(error)}`, error, share };
  const at = `[${position(worst, shape)}]: ${actual[worst]} instead of ${expected[worst]}`;
  const detail = `${wrong} of ${expected.length} values are off, largest error ${show(error)}, ${show(share)} x the tolerance at ${at}`;
  return { role, ok: false, detail, error, share };
}

function compareNorms(
  role: string,
  actual: Values,
  expected: Values,
  tolerance: Tolerance,
  shape: readonly number[],
): Comparison {
  const { relative, error, psnr } = distance(actual, expected, 0, expected.length);
  const picture = /^(image|frames)/.test(role);
  const limits = [
    ['rel_l2', relative, picture ? tolerance.rel_l2_image : tolerance.rel_l2_latents],
    ['rel_l2', relative, tolerance.rel_l2],
    ['max_abs', error, picture ? tolerance.max_abs_frames : undefined],
    ['max_abs', error, tolerance.max_abs],
  ] as [name: string, value: number, limit: number | undefined][];
  let worst = relative;
  if (tolerance.rel_l2_each !== undefined) {
    const slices = shape[0] ?? 1;
    const each = expected.length / slices;
    const all = Array.from({ length: slices }, (_, i) =>
      distance(actual, expected, i * each, (i + 1) * each),
    );
    worst = Math.max(...all.map((slice) => slice.relative));
    limits.push(['rel_l2 of a slice', worst, tolerance.rel_l2_each]);
  }
  const given = limits.filter(([, , limit]) => limit !== undefined) as [string, number, number][];
  const shares = given.map(([, value, limit]) => (value === 0 ? 0 : value / limit));
  const details = given.map(([name, value, limit]) => `${name} ${show(value)} of ${limit}`);
  if (tolerance.psnr !== undefined) {
    shares.push(10 ** ((tolerance.psnr - psnr) / 20));
    details.push(`${psnr.toFixed(1)} dB of ${tolerance.psnr.toFixed(1)}`);
  }
  if (shares.length === 0) return { role, ok: false, detail: 'the manifest has no tolerance for it', error };
  const share = Math.max(...shares);
  return { role, ok: share <= 1, detail: details.join(', '), error, share, relative: worst };
}

/** Of values [begin, end). Where a number is NaN, all are. */
function distance(actual: Values, expected: Values, begin: number, end: number) {
  let squares = 0;
  let total = 0;
  let error = 0;
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = begin; i < end; i++) {
    const value = Number(expected[i]);
    const difference = Number(actual[i]) - value;
    squares += difference ** 2;
    total += value ** 2;
    least = Math.min(least, value);
    most = Math.max(most, value);
    if (!(Math.abs(difference) <= error)) error = Math.abs(difference);
  }
  const relative = squares === 0 ? 0 : Math.sqrt(squares / total);
  return { relative, error, psnr: 20 * Math.log10((most - least) / Math.sqrt(squares / (end - begin))) };
}

function position(index: number, shape: readonly number[]): number[] {
  const at: number[] = [];
  let rest = index;
  for (const extent of [...shape].reverse()) {
    at.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return at;
}

function show(value: number): string {
  return value === 0 ? '0' : value.toPrecision(3);
}

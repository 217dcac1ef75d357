import { expect, test } from '@jest/globals';
import { FeatureSet, type FeatureStatistics, frechetDistance } from '../../lib/fid/index.js';
import { rejection } from '../pipelines/tiny.js';
import { floats, recorded } from './inception-files.js';

interface Recorded {
  width: number;
  sets: Record<'a' | 'b' | 'c', string>;
  a: { mu: number[]; sigma: number[] };
  distances: { ab: number; cb: number };
}
const { width, sets, a, distances } = recorded<Recorded>('frechet.json');

async function setOf(values: Float32Array, at = 1, size = width): Promise<FeatureSet> {
  const set = new FeatureSet(size);
  for (let i = 0; i < values.length; i += at * size) await set.add(values.subarray(i, i + at * size));
  return set;
}

/** Of a diagonal covariance. */
function normal(mu: readonly number[], variances: readonly number[]): FeatureStatistics {
  const n = mu.length;
  const sigma = new Float64Array(n * n);
  for (const [i, value] of variances.entries()) sigma[i * (n + 1)] = value;
  return { mu: Float64Array.from(mu), sigma };
}

test.each([1, 7, 100])('mean and covariance are those of numpy, %d pictures at a time', async (at) => {
  // More pictures than features: those that come first are no longer kept.
  const set = await setOf(floats(sets.a), at);
  expect(set.count).toBe(100);
  expect(set.factor()).toBeUndefined();
  for (let i = 0; i < 2; i++) {
    const { mu, sigma } = await set.statistics();
    for (const [k, value] of a.mu.entries()) expect(mu[k]).toBeCloseTo(value, 11);
    expect(sigma).toHaveLength(a.sigma.length);
    for (const [k, value] of a.sigma.entries()) expect(sigma[k]).toBeCloseTo(value, 11);
  }
  // It goes on after it was asked.
  await set.add(floats(sets.a));
  const twice = await set.statistics();
  for (const [k, value] of a.sigma.entries()) expect(twice.sigma[k]).toBeCloseTo((value * 2 * 99) / 199, 10);
});

test('few pictures are kept as a factor of their covariance', async () => {
  const set = await setOf(floats(sets.c));
  // What is asked for changes nothing.
  await set.statistics();
  const { rows, mu } = set.factor() as { rows: Float64Array; mu: Float64Array };
  const whole = await set.statistics();
  for (let i = 0; i < width; i++) {
    expect(mu[i]).toBeCloseTo(whole.mu[i] as number, 12);
    for (let j = 0; j < width; j++) {
      let sum = 0;
      for (let k = 0; k < set.count; k++)
        sum += (rows[k * width + i] as number) * (rows[k * width + j] as number);
      expect(sum).toBeCloseTo(whole.sigma[i * width + j] as number, 11);
    }
  }
});

test('distances are those of scipy', async () => {
  const [first, second, few] = await Promise.all(
    [sets.a, sets.b, sets.c].map((text) => setOf(floats(text), 16)),
  );
  const b = await (second as FeatureSet).statistics();
  expect(await frechetDistance(first as FeatureSet, b)).toBeCloseTo(distances.ab, 9);
  // Both ways round.
  const reference = await (first as FeatureSet).statistics();
  expect(await frechetDistance(b, reference)).toBeCloseTo(distances.ab, 9);
  // scipy's root of a singular matrix is right to about half of its digits.
  expect(await frechetDistance(few as FeatureSet, b)).toBeCloseTo(distances.cb, 4);
  expect(await frechetDistance(await (few as FeatureSet).statistics(), b)).toBeCloseTo(distances.cb, 4);
});

test('distances have closed forms', async () => {
  const set = await setOf(floats(sets.a), 10);
  const own = await set.statistics();
  expect(Math.abs(await frechetDistance(set, own))).toBeLessThan(1e-9);
  const moved = { ...own, mu: own.mu.map((value, i) => value + i / 10) };
  const shift = Array.from({ length: width }, (_, i) => (i / 10) ** 2).reduce((x, y) => x + y);
  expect(await frechetDistance(moved, own)).toBeCloseTo(shift, 9);
  // Diagonals: sums of (sqrt(s) - sqrt(t))^2, zeros too.
  const [s, t] = [
    [4, 9, 0, 1e-8],
    [1, 16, 2, 0],
  ];
  const wanted = s.reduce((sum, value, i) => sum + (Math.sqrt(value) - Math.sqrt(t[i] as number)) ** 2, 0);
  const zeros = [0, 0, 0, 0];
  expect(await frechetDistance(normal(zeros, s), normal(zeros, t))).toBeCloseTo(wanted, 9);
  // A single value: (m1 - m2)^2 + (d1 - d2)^2 of the deviations.
  const pair = await setOf(Float32Array.of(1, 3), 1, 1);
  expect(await frechetDistance(pair, normal([5], [8]))).toBeCloseTo(
    9 + (Math.sqrt(2) - Math.sqrt(8)) ** 2,
    12,
  );
});

test('what has no covariance, or another size, is refused', async () => {
  const one = await setOf(floats(sets.a).slice(0, width));
  expect((await rejection(one.statistics())).message).toMatch(/at least two pictures/);
  expect((await rejection(frechetDistance(one, normal([0], [1])))).message).toMatch(/at least two pictures/);
  const set = await setOf(floats(sets.c));
  expect((await rejection(frechetDistance(set, normal([0], [1])))).message).toMatch(
    /same number of features/,
  );
  const short = { mu: new Float64Array(width), sigma: new Float64Array(3) };
  expect((await rejection(frechetDistance(set, short))).message).toMatch(/same number of features/);
  expect((await rejection(set.add(new Float32Array(3)))).message).toMatch(/of 24 values, got 3/);
  expect((await rejection(set.add(new Float32Array(width).fill(Number.NaN)))).message).toMatch(/finite/);
  const gone = new AbortController();
  gone.abort();
  const { signal } = gone;
  await expect(frechetDistance(set, await set.statistics(), { signal })).rejects.toThrow(/abort/);
});

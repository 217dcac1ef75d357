import { expect, test } from '@jest/globals';
import { speedupText } from '../lib/compare/figures.js';
import { median, speedupsOf, spreadOf } from '../lib/compare/speedup.js';
import type { GenerateStats } from '../lib/index.js';

/** Of a machine that takes `call` seconds for a full call, and a tenth of it for a cached one. */
const run = (call: number, full: number, cached: number): GenerateStats => {
  const callTimes = { full: call * full, retrieve: 0.1 * call * cached, predict: 0 };
  const denoise = callTimes.full + callTimes.retrieve;
  return {
    times: { encode: 0, prepare: 0, denoise, decode: 0, total: denoise },
    callTimes,
    calls: full + cached,
    fullCalls: full,
    retrieveCalls: cached,
    predictedCalls: 0,
    computed: [],
    speedup: 1,
    plansMade: 0,
    memory: { weights: 0, arenas: 0, buffers: 0 },
  };
};
const text = (speedups: number[]) => speedupText({ speedup: median(speedups), ...spreadOf(speedups) });

test('a machine that slows down between two runs shows in the ratio, not in the ratio at the rate of full calls', () => {
  const [ratio, corrected] = speedupsOf(run(1, 10, 0), run(2, 5, 5));
  expect(ratio).toBeCloseTo(10 / 11);
  expect(corrected).toBeCloseTo(10 / 5.5);
  expect(speedupsOf(run(1, 10, 0), run(1, 10, 0))).toEqual([1, 1]);
});

test('a quiet machine gives a figure with its range, a busy one says that there is none', () => {
  expect(text(speedupsOf(run(1, 10, 0), run(1, 5, 5)))).toBe('1.82×');
  expect(text([1.8, 1.82, 1.9, 1.85])).toBe('1.83× (1.81–1.89)');
  expect(text(speedupsOf(run(1, 10, 0), run(2, 5, 5)))).toMatch(/^too noisy to tell \(1\.00–1\.73×\)$/);
  expect(text([0.56, 1.8, 3.1])).toMatch(/^too noisy to tell/);
  expect(text([Number.NaN, 1])).toMatch(/^too noisy to tell/);
});

test('one odd pair among many does not widen the range', () => {
  expect(spreadOf([0.5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2])).toEqual({ speedupRange: [2, 2], isNoisy: false });
});

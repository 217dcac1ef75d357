import { describe, expect, test } from '@jest/globals';
import { brownianValues, roundTime } from '../lib/math/brownian-motion.js';
import { expf } from '../lib/math/expf.js';
import { seedWords } from '../lib/math/seed-sequence.js';

describe('seeds from one number are numpy’s', () => {
  // numpy.random.SeedSequence(entropy, spawn_key=, pool_size=).generate_state(3)
  test.each([
    [0n, undefined, 24, [4025752534, 2687548107, 2326983537]],
    [77n, undefined, 24, [2036740624, 794572212, 3236796866]],
    [77n, [5, 3], 24, [1363805981, 2154188981, 2774708191]],
    [123456789012n, [0, 0], 24, [2831422411, 2183934636, 3022349794]],
    [2n ** 64n - 1n, undefined, 4, [2458692877, 2931597649, 2251873402]],
    [1n, [2 ** 33 + 1], 4, [1158480471, 3105224776, 675563538]],
    [2n ** 200n + 5n, undefined, 4, [2488230339, 2107114705, 1351925458]],
  ])('%p, %p, %i', (entropy, spawnKey, poolSize, words) => {
    expect(seedWords({ entropy, poolSize, ...(spawnKey && { spawnKey }) }, 3)).toEqual(words);
  });
});

test('times are rounded as Python rounds', () => {
  const rounded = [0.0078125, 0.0234375, 14.6146450042724, 2.5e-6, 3.5e-6, 0.1234565, 5, 0].map(roundTime);
  expect(rounded).toEqual([0.007812, 0.023438, 14.614645, 3e-6, 3e-6, 0.123456, 5, 0]);
});

test('expf is exp within one place of single precision', () => {
  for (let x = -30; x < 30; x += 0.137) {
    const exact = Math.exp(Math.fround(x));
    expect(Math.abs(expf(Math.fround(x)) / exact - 1)).toBeLessThan(2 ** -23);
  }
});

describe('a Brownian motion', () => {
  /** Normal enough: the sum of twelve even numbers that a seed makes. */
  const normal = async (seed: number) =>
    Float32Array.from({ length: 200 }, (_, i) => {
      let state = (seed ^ Math.imul(i + 1, 0x9e3779b1)) >>> 0;
      let sum = -6;
      for (let k = 0; k < 12; k++) {
        state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) >>> 0;
        sum += state / 2 ** 32;
      }
      return sum;
    });
  const motion = { low: 0.03, high: 14.6, entropy: 5n };
  const times = [0.03, 0.5, 0.500001, 2, 7.123456, 14.6];

  test('has one value at a time, whatever else is asked for', async () => {
    const all = await brownianValues(motion, times, normal);
    for (const time of times) {
      const alone = await brownianValues(motion, [time], normal);
      expect(alone(time)).toEqual(all(time));
    }
    expect(all(0.03).every((value) => value === 0)).toBe(true);
    // Beyond its ends it stays.
    expect(all(20)).toEqual(all(14.6));
  });

  test('goes as far as the root of the time', async () => {
    const at = await brownianValues(motion, times, normal);
    for (const [from, to] of [
      [0.03, 14.6],
      [0.5, 2],
      [2, 7.123456],
      [0.5, 0.500001],
    ] as const) {
      const ways = Array.from(at(to), (value, i) => value - (at(from)[i] as number));
      const variance = ways.reduce((sum, way) => sum + way ** 2, 0) / ways.length;
      expect(variance / (to - from)).toBeGreaterThan(0.7);
      expect(variance / (to - from)).toBeLessThan(1.4);
    }
  });

  test('draws the middle of what is asked for alone', async () => {
    const seeds: number[] = [];
    const count = async (seed: number) => {
      seeds.push(seed);
      return [0.5];
    };
    await brownianValues({ low: 0, high: 8, entropy: 1n }, [0, 8], count);
    expect(seeds).toHaveLength(1);
    await brownianValues({ low: 0, high: 8, entropy: 1n }, [4, 6], count);
    // The whole, its middle, and the middle of its upper half.
    expect(seeds).toHaveLength(4);
    expect(seeds[2]).toBe(seedWords({ entropy: 1n, spawnKey: [0, 0], poolSize: 24 }, 1)[0]);
    expect(seeds[3]).toBe(seedWords({ entropy: 1n, spawnKey: [1, 1], poolSize: 24 }, 1)[0]);
  });
});

import { describe, expect, test } from '@jest/globals';
import { AdaptivePolicy } from '../lib/deepcache/adaptive.js';
import {
  type CachePolicy,
  DdpmPolicy,
  LatentPolicy,
  paperSchedule,
  SettingsPolicy,
  sampleFromQuadOnce,
} from '../lib/deepcache/index.js';

const invalid = (named: string) =>
  expect.objectContaining({
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
    message: expect.stringContaining(named),
  });
/** The layout for so many calls of a U-Net with twelve branches. */
function layout(policy: CachePolicy, calls: number) {
  const timesteps = Array.from({ length: calls }, (_, i) => 10 * (calls - i));
  return policy.layout({ timesteps, schedulerTimesteps: timesteps, branches: 12 });
}
const full = (policy: CachePolicy, calls: number) =>
  layout(policy, calls).calls.flatMap(({ kind }, i) => (kind === 'full' ? [i] : []));

describe('settings', () => {
  test('every call is a full one or a retrieve step of the branch', () => {
    const { calls, note } = layout(new SettingsPolicy({ interval: 2, branch: 11 }), 3);
    expect(calls).toEqual([{ kind: 'full' }, { kind: 'retrieve', branch: 11 }, { kind: 'full' }]);
    expect(note).toBeUndefined();
  });

  test('branches that the U-Net lacks are refused, also where none is used', () => {
    for (const interval of [1, 2]) {
      expect(() => layout(new SettingsPolicy({ interval, branch: 12 }), 3)).toThrow(
        invalid('cache.branch must be a whole number from 0 to 11'),
      );
    }
  });

  test('a preset that is not followed says so', () => {
    const { calls, note } = layout(new SettingsPolicy('fast'), 8);
    expect(calls).toEqual(new Array(8).fill({ kind: 'full' }));
    expect(note).toMatch(/not used/);
  });

  test('the helper counter searches the whole list of the scheduler', () => {
    const run = { timesteps: [30, 30, 20], schedulerTimesteps: [50, 40, 30, 30, 20], branches: 12 };
    const kinds = new SettingsPolicy({ interval: 2, counter: 'helper' }).layout(run).calls.map((c) => c.kind);
    expect(kinds).toEqual(['full', 'full', 'full']);
  });
});

describe('the programs of the paper', () => {
  const nonuniform = { interval: 3, schedule: 'nonuniform' } as const;

  test('DDPM counts the steps that were asked for, not the calls', () => {
    expect(full(new DdpmPolicy({ interval: 3 }, 8), 12)).toEqual([0, 3, 6]);
    expect(full(new SettingsPolicy({ interval: 3 }), 12)).toEqual([0, 3, 6, 9]);
    const power = 1.4;
    // At 30 % of the steps, not of the calls.
    expect(full(new DdpmPolicy(nonuniform, 10), 14)).toEqual(paperSchedule(10, 3, { center: 3, power }));
    expect(full(new DdpmPolicy({ ...nonuniform, center: 6 }, 10), 14)).toEqual(
      paperSchedule(10, 3, { center: 6, power }),
    );
    expect(full(new DdpmPolicy(false, 8), 3)).toEqual([0, 1, 2]);
    expect(full(new DdpmPolicy({ interval: 1 }, 2), 4)).toEqual([0, 1, 2, 3]);
    expect(full(new DdpmPolicy({ steps: [0, 9] }, 2), 12)).toEqual([0, 9]);
    expect(full(new DdpmPolicy({ interval: 3, counter: 'helper' }, 8), 12)).toEqual([0, 3, 6, 9]);
  });

  test("latent diffusion's list is densest at the first call, unless a center is given", () => {
    expect(full(new LatentPolicy(nonuniform), 20)).toEqual([...new Set(sampleFromQuadOnce(20, 7, 1.4))]);
    expect(full(new LatentPolicy({ ...nonuniform, power: 3 }), 20)).toEqual([
      ...new Set(sampleFromQuadOnce(20, 7, 3)),
    ]);
    const centered = { ...nonuniform, center: 6 };
    expect(full(new LatentPolicy(centered), 20)).toEqual(full(new SettingsPolicy(centered), 20));
    expect(full(new LatentPolicy({ interval: 3 }), 20)).toEqual([0, 3, 6, 9, 12, 15, 18]);
    expect(full(new LatentPolicy({ ...nonuniform, interval: 1 }), 4)).toEqual([0, 1, 2, 3]);
    expect(full(new LatentPolicy(false), 3)).toEqual([0, 1, 2]);
  });
});

describe('the adaptive policy', () => {
  const retrieve = { kind: 'retrieve', branch: 3 } as const;

  test('all calls but the first decide for themselves', () => {
    const settings = { threshold: 0.2, maxSkips: 3, instead: retrieve };
    expect(layout(new AdaptivePolicy(settings), 3).calls).toEqual([
      { kind: 'full' },
      { kind: 'adaptive', ...settings },
      { kind: 'adaptive', ...settings },
    ]);
  });

  test.each([
    ['threshold', { threshold: -0.1 }],
    ['threshold', { threshold: Number.NaN }],
    ['maxSkips', { maxSkips: 0 }],
    ['maxSkips', { maxSkips: 1.5 }],
  ])('refuses a wrong %s: %j', (named, wrong) => {
    const settings = { threshold: 1, maxSkips: 1, instead: retrieve, ...wrong };
    expect(() => new AdaptivePolicy(settings)).toThrow(invalid(named));
  });

  test('refuses a branch that the U-Net lacks', () => {
    const policy = new AdaptivePolicy({ threshold: 0, maxSkips: 1, instead: { ...retrieve, branch: 12 } });
    expect(() => layout(policy, 2)).toThrow(invalid('branch must be a whole number from 0 to 11'));
  });
});

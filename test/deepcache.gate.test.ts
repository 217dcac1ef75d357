import { describe, expect, test } from '@jest/globals';
import { type CacheSettings, type CallPlan, SettingsPolicy } from '../lib/deepcache/index.js';

const invalid = (named: string) =>
  expect.objectContaining({
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
    message: expect.stringContaining(named),
  });
function layout(cache: CacheSettings, calls: number, stepCalls = calls): readonly CallPlan[] {
  const timesteps = Array.from({ length: calls }, (_, i) => 10 * (calls - i));
  return new SettingsPolicy(cache).layout({
    timesteps,
    schedulerTimesteps: timesteps,
    branches: 12,
    stepCalls,
  }).calls;
}
const SHORT = { keep: 'k', mean: 'm', kept: 't' } as const;
/** A letter for each call: F or R, with what its cross and its self attention do (- computes). */
const words = (calls: readonly CallPlan[]) =>
  calls.map((call) => {
    if (call.kind !== 'full' && call.kind !== 'retrieve') return call.kind;
    const letter = (use: keyof typeof SHORT | undefined) => (use ? SHORT[use] : '-');
    return `${call.kind === 'full' ? 'F' : 'R'}${letter(call.cross)}${letter(call.self)}${call.halves ? '1' : ''}`;
  });

describe('the gate', () => {
  test('cross attention is averaged in the step before it, and taken from it on, with one output', () => {
    expect(words(layout({ interval: 1, gateStep: 3 }, 6))).toEqual([
      'F--',
      'F--',
      'Fm-',
      'Ft-1',
      'Ft-1',
      'Ft-1',
    ]);
  });

  test('self attention is taken between the steps that compute it', () => {
    const cache = { interval: 1, gateStep: 6, warmUp: 1, spInterval: 2, fiInterval: 3 };
    // Kept at warmUp, and at every even step; step 5 averages, for step 6 is one that computes, no one takes that.
    expect(words(layout(cache, 10))).toEqual([
      'F--',
      'F--',
      'F-k',
      'F-t',
      'F--',
      'Fm-',
      'Ftk1',
      'Ftt1',
      'Ftt1',
      'Ft-1',
    ]);
  });

  test('PNDM makes a call more before step 0, second-order samplers one less', () => {
    expect(words(layout({ interval: 1, gateStep: 2 }, 5, 4))).toEqual(['F--', 'F--', 'Fm-', 'Ft-1', 'Ft-1']);
    expect(words(layout({ interval: 1, gateStep: 3 }, 5, 6))).toEqual(['F--', 'Fm-', 'Ft-1', 'Ft-1', 'Ft-1']);
    expect(() => layout({ interval: 1, gateStep: 1 }, 5, 6)).toThrow(
      invalid('cache.gateStep must be at least 2'),
    );
  });

  test('a gate behind the last step leaves all as it is', () => {
    expect(words(layout({ interval: 2, gateStep: 9 }, 4))).toEqual(['F--', 'R--', 'F--', 'R--']);
  });
});

describe('with a cache', () => {
  test('the two steps around the gate are full ones, and the interval counts from the second', () => {
    expect(words(layout({ interval: 3, branch: 1, gateStep: 5 }, 10))).toEqual([
      'F--',
      'R--',
      'R--',
      'F--',
      'Fm-',
      'Ft-1',
      'Rt-1',
      'Rt-1',
      'Ft-1',
      'Rt-1',
    ]);
  });

  test('what a retrieve step keeps does not stand for the layers that it leaves out', () => {
    const cache = { interval: 3, gateStep: 20, warmUp: 1, spInterval: 5 };
    // Step 1 keeps in its own layers; step 3 is the first full one, which has nothing to take.
    expect(words(layout(cache, 7))).toEqual(['F--', 'R--', 'R--', 'F-k', 'R-t', 'R-k', 'F-t']);
  });

  test('lists and plans have full steps around it', () => {
    expect(words(layout({ steps: [0], gateStep: 2 }, 5))).toEqual(['F--', 'Fm-', 'Ft-1', 'Rt-1', 'Rt-1']);
    expect(words(layout({ plan: 'FFFRP', gateStep: 2 }, 5))).toEqual([
      'F--',
      'Fm-',
      'Ft-1',
      'Rt-1',
      'forecast',
    ]);
    expect(() => layout({ plan: 'FFRRF', gateStep: 2 }, 5)).toThrow(
      invalid('cache.plan must have F for call 2'),
    );
  });
});

test('what is no setting of a gate', () => {
  expect(() => layout({ interval: 1, gateStep: 0 }, 5)).toThrow(
    invalid('cache.gateStep must be a whole number'),
  );
  expect(() => layout({ interval: 1, gateStep: 2, warmUp: -1 }, 5)).toThrow(invalid('cache.warmUp'));
  expect(() => layout({ interval: 1, gateStep: 2, fiInterval: 0.5 }, 5)).toThrow(invalid('cache.fiInterval'));
  expect(() => layout({ interval: 1, spInterval: 2 }, 5)).toThrow(
    invalid('cache.spInterval needs a gateStep'),
  );
});

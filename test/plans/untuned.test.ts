import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { candidateOf } from '../../bench/preset-candidates.js';
import { CACHE_PRESETS, type CachePreset, lateList, SettingsPolicy } from '../../lib/deepcache/index.js';
import { pipelineForInputs, StableDiffusionPipeline } from '../../lib/index.js';
import type { PlannedRun } from '../../lib/plans/saved-plan.js';
import { untunedPreset } from '../../lib/plans/untuned.js';
import { latentsOf, loadTiny } from '../pipelines/tiny.js';

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

const RUN = { scheduler: 'DDIM', steps: 20, guidanceScale: 2.5 } as const;
const LIST = lateList(20, 7, 0.8);

test('lists are denser towards the end, with as many full calls as was asked for, all different', () => {
  expect(lateList(25, 9, 0.8)).toEqual([0, 4, 8, 10, 13, 16, 18, 20, 23]);
  expect(lateList(12, 4, 1)).toEqual([0, 3, 6, 9]);
  for (const power of [0.3, 0.8, 1]) {
    for (let calls = 1; calls < 40; calls++) {
      for (let count = 1; count <= calls; count++) {
        const list = lateList(calls, count, power);
        expect(list).toHaveLength(count);
        expect(list[0]).toBe(0);
        expect(list.every((call, i) => call < (list[i + 1] ?? calls))).toBe(true);
      }
    }
  }
});

test('a preset is its rule in runs from text, and says so in their settings', async () => {
  const cache = { steps: LIST, branch: 0, featureDamping: 0.7 };
  const explicit = await latentsOf(pipe, { ...RUN, cache });
  expect(explicit).not.toEqual(await latentsOf(pipe, { ...RUN, cache: { interval: 3 } }));
  expect(await latentsOf(pipe, { ...RUN, cache: 'balanced' })).toEqual(explicit);
  const { settings, stats } = await pipe.generate({ prompt: 'a', seed: 1, ...RUN, cache: 'balanced' });
  expect(settings[0]).toContain(JSON.stringify(JSON.stringify(cache)));
  expect(stats).toMatchObject({ fullCalls: 7, retrieveCalls: 13 });
});

test('other runs have equal intervals as before', async () => {
  const image = { data: new Float32Array(3 * 64 * 64), shape: [1, 3, 64, 64] };
  for (const other of [
    { steps: 19 },
    { steps: 51 },
    { guidanceScale: 7.6 },
    { guidanceScale: 1 },
    { scheduler: 'LMS' },
    { eta: 0.5 },
    { guidanceRescale: 0.5 },
    { guider: 'apg' },
    { freeU: { b1: 1.1, b2: 1.2, s1: 0.9, s2: 0.8 } },
    { timesteps: Array.from({ length: 20 }, (_, i) => 950 - 50 * i), steps: undefined },
    { schedulerOptions: { sChurn: 0.1 }, scheduler: 'Euler' },
  ]) {
    const run = { ...RUN, ...other };
    expect(await latentsOf(pipe, { ...run, cache: 'balanced' })).toEqual(
      await latentsOf(pipe, { ...run, cache: { interval: 3 } }),
    );
  }
  const again = pipelineForInputs(pipe, { image: true, mask: false });
  const run = { ...RUN, steps: 40, strength: 0.5, image };
  expect(await latentsOf(again, { ...run, cache: 'fast' })).toEqual(
    await latentsOf(again, { ...run, cache: { interval: 5 } }),
  );
});

test('a run is planned for a preset only where its sampler has a rule that asks for the calls', async () => {
  let planned = 0;
  const { family } = StableDiffusionPipeline;
  class Counting extends StableDiffusionPipeline {
    static override readonly family = {
      ...family,
      plan: (...given: Parameters<typeof family.plan>) => {
        planned++;
        return family.plan(...given);
      },
    };
  }
  await using counting = Counting.from(pipe);
  const plans = async (options: object) => {
    planned = 0;
    await latentsOf(counting, { ...RUN, ...options });
    return planned;
  };
  const usual = await plans({ cache: { interval: 3 } });
  expect(await plans({ cache: 'balanced' })).toBe(usual + 1);
  // Without a rule, and with one of equal intervals.
  expect(await plans({ cache: 'balanced', scheduler: 'LMS' })).toBe(usual);
  expect(await plans({ cache: 'quality' })).toBe(usual);
  expect(await plans({ cache: 'balanced', pagScale: 2 })).toBe(usual);
});

/** What a policy is told of a run. */
const RUN_OF = (calls: number) => {
  const timesteps = Array.from({ length: calls }, (_, i) => calls - i);
  return { timesteps, schedulerTimesteps: timesteps, branches: 12 };
};

interface Row {
  scheduler: string;
  guidance: number;
  steps: number;
  calls: number;
  preset: CachePreset;
  settings: string;
  pictures: number;
  mean: number;
  worst: number;
}

test('presets are what the measured table has as no worse than equal intervals, in mean and worst picture', () => {
  const rows = JSON.parse(readFileSync('bench/results/presets-demo-2026-11-29.json', 'utf8')) as Row[];
  const isCell = (a: Row) => (b: Row) =>
    (['scheduler', 'guidance', 'steps', 'preset'] as const).every((name) => a[name] === b[name]);
  const lists = rows.flatMap((row) => {
    const { scheduler, guidance, steps, calls, preset, settings } = row;
    const even = { interval: CACHE_PRESETS[preset].interval, branch: 0 };
    const cacheOf = (one: Row) => candidateOf(preset, one.settings, calls);
    if (!isDeepStrictEqual(candidateOf(preset, settings, calls), even)) return [];
    const options = { prompt: 'a', scheduler: { _class_name: scheduler }, steps, guidanceScale: guidance };
    const resolved = untunedPreset(preset, pipe.plannedRun(options) as PlannedRun, () => calls);
    if (typeof resolved === 'string') return [];
    const full = new SettingsPolicy(resolved)
      .layout(RUN_OF(calls))
      .calls.filter(({ kind }) => kind === 'full');
    expect(full).toHaveLength(Math.ceil(calls / even.interval));
    const cell = `${scheduler} ${guidance} ${steps} ${preset}`;
    const own = rows.filter(isCell(row)).find((one) => isDeepStrictEqual(cacheOf(one), resolved));
    if (!own) throw new Error(`${cell}: what the preset stands for was not measured`);
    return [{ cell, even: row, own }];
  });
  expect(lists.length).toBeGreaterThan(20);
  for (const { cell, even, own } of lists) {
    const { pictures } = even;
    const isNoWorse = own.mean >= even.mean && own.worst >= even.worst;
    expect({ cell, pictures: own.pictures, isNoWorse }).toEqual({ cell, pictures, isNoWorse: true });
  }
});

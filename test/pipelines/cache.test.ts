import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CACHE_PRESETS } from '../../lib/entries/schedulers.js';
import type {
  BranchInfo,
  CacheOptions,
  CachePreset,
  GenerateOptions,
  StableDiffusionPipeline,
} from '../../lib/index.js';
import { distance, latentsOf, loadTiny, sameBits } from './tiny.js';

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

/** Which U-Net calls of a run are full, and its latents. */
async function run(cache: CacheOptions, options: Partial<GenerateOptions> = {}) {
  const full: boolean[] = [];
  const onStep = (event: { full: boolean }) => full.push(event.full);
  const latents = await latentsOf(pipe, { steps: 10, scheduler: 'DDIM', cache, onStep, ...options });
  return { calls: full.flatMap((isFull, i) => (isFull ? [i] : [])), latents };
}

describe('no cache', () => {
  test.each<[string, CacheOptions]>([
    ['false', false],
    ['interval 1', { interval: 1 }],
    ['interval 1 of a deep branch', { interval: 1, branch: 11 }],
    ['interval 1, non-uniform', { interval: 1, schedule: 'nonuniform' }],
    ['every call listed', { steps: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }],
  ])('%s is no cache, bit for bit', async (_name, cache) => {
    const { calls, latents } = await run(cache);
    expect(calls).toHaveLength(10);
    expect(sameBits(latents, await latentsOf(pipe, { steps: 10, scheduler: 'DDIM' }))).toBe(true);
  });
});

describe('branches', () => {
  test('all of them run, each with a result of its own, the deepest closest to no cache', async () => {
    const { latents: exact } = await run(false);
    const branches = await pipe.unet.branches();
    expect(branches.map(({ branch }) => branch)).toEqual([...Array(12).keys()]);
    const results: Float32Array[] = [];
    for (const { branch } of branches) {
      const { calls, latents } = await run({ interval: 3, branch });
      expect(calls).toEqual([0, 3, 6, 9]);
      expect(latents.every(Number.isFinite)).toBe(true);
      expect(distance(latents, exact)).toBeGreaterThan(1e-6);
      for (const other of results) expect(sameBits(latents, other)).toBe(false);
      results.push(latents);
    }
    expect(distance(results[11] as Float32Array, exact)).toBeLessThan(
      distance(results[0] as Float32Array, exact),
    );
  });

  test('a branch that was used before leaves nothing behind', async () => {
    const before = await run({ interval: 3, branch: 2 });
    await run({ interval: 2, branch: 7 });
    await run(false);
    expect(sameBits((await run({ interval: 3, branch: 2 })).latents, before.latents)).toBe(true);
  });
});

describe('schedules', () => {
  test.each<[string, CacheOptions, number[]]>([
    ['uniform', { interval: 4 }, [0, 4, 8]],
    ['an interval longer than the run', { interval: 100 }, [0]],
    ['a list', { steps: [0, 1, 5] }, [0, 1, 5]],
    ['a list that leaves out call 0', { steps: [7] }, [0, 7]],
    ['non-uniform', { interval: 3, schedule: 'nonuniform', center: 5, power: 1.4 }, [0, 3, 5, 7]],
  ])('%s', async (_name, cache, expected) => {
    const { calls } = await run(cache);
    expect(calls).toEqual(expected);
  });

  test('a list equals the interval that it spells out', async () => {
    const spelled = await run({ steps: [0, 3, 6, 9], branch: 1 });
    expect(sameBits(spelled.latents, (await run({ interval: 3, branch: 1 })).latents)).toBe(true);
  });

  test.each(Object.keys(CACHE_PRESETS) as CachePreset[])('preset %s is its settings', async (preset) => {
    const named = await run(preset, { steps: 12 });
    const spelled = await run(CACHE_PRESETS[preset], { steps: 12 });
    expect(named.calls).toEqual(spelled.calls);
    expect(named.calls.length).toBeLessThan(12);
    expect(sameBits(named.latents, spelled.latents)).toBe(true);
  });

  test("settings of one's own are obeyed in short runs", async () => {
    const { calls } = await run({ interval: 2 }, { steps: 4 });
    expect(calls).toEqual([0, 2]);
  });
});

describe('counters', () => {
  // PNDM calls the U-Net twice at its second timestep: 11 calls in 10 steps.
  const PNDM = { scheduler: 'PNDM' } as const;

  test('calls counts the repeated call of PNDM like any other', async () => {
    const { calls } = await run({ interval: 3 }, PNDM);
    expect(calls).toEqual([0, 3, 6, 9]);
  });

  test('helper takes both calls at one timestep for the same step', async () => {
    const { calls } = await run({ interval: 3, counter: 'helper' }, PNDM);
    // Indices 0, 1, 1, 3, 4, 5, ... of the scheduler's list: call 2 repeats index 1, call 3 is index 3.
    expect(calls).toEqual([0, 3, 6, 9]);
    const odd = await run({ interval: 2, counter: 'helper' }, PNDM);
    expect(odd.calls).toEqual([0, 4, 6, 8, 10]);
    expect((await run({ interval: 2 }, PNDM)).calls).toEqual([0, 2, 4, 6, 8, 10]);
  });

  test('they agree where no timestep is repeated', async () => {
    const [calls, helper] = [await run({ interval: 3 }), await run({ interval: 3, counter: 'helper' })];
    expect(helper.calls).toEqual(calls.calls);
    expect(sameBits(helper.latents, calls.latents)).toBe(true);
  });
});

test('caching saves work: retrieve steps are fewer multiplications and less time', async () => {
  const { macs, share } = (await pipe.unet.branches())[0] as BranchInfo;
  expect(macs.complete).toBeLessThan((await pipe.unet.macs()).complete / 2);
  expect(share).toBeCloseTo(macs.complete / (await pipe.unet.macs()).complete, 10);
  const big = {
    prompt: 'a',
    width: 256,
    height: 256,
    scheduler: 'DDIM',
    steps: 9,
    output: 'latent',
  } as const;
  const { stats } = await pipe.generate({ ...big, cache: { interval: 9 } });
  expect(stats).toMatchObject({ fullCalls: 1, retrieveCalls: 8 });
  expect(stats.speedup).toBeGreaterThan(0); // how fast it is, benchmarks tell
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StableDiffusionPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { distance, imageOf, LATENT, latentsOf, loadTiny, numbersOf, sameBits } from './tiny.js';

// Who draws what for whom, and that batches change nothing else.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

/** How far a batch may be from single runs: the size decides in which order sums are made. */
const BATCH_ERROR = 1e-5;

const randn = (seed: bigint, count: number) => new (native().Generator)(seed).randn(count) as Float32Array;

// DDIM with noise, LCM and SA-Solver draw in every step, PNDM only at the start. DPM++ SDE draws a motion of its own for
// each seed, whose numbers a longer batch goes on with.
const samplers = ['PNDM', 'DDIM', 'LCM', 'SASolver', 'DPMSolverSDE'] as const;
const withNoise = (scheduler: string) => ({ scheduler, ...(scheduler === 'DDIM' && { eta: 1 }) });

describe.each(samplers)('%s', (scheduler) => {
  test('seeds [a, b] make the images of a and of b', async () => {
    const both = await latentsOf(pipe, {
      ...withNoise(scheduler),
      seed: undefined,
      seeds: [11, 12n],
      numImages: 2,
    } as object);
    for (const [i, seed] of [11, 12].entries()) {
      const single = await latentsOf(pipe, { ...withNoise(scheduler), seed });
      expect(distance(imageOf(both, i, 2), single)).toBeLessThan(BATCH_ERROR);
    }
  });

  test('one seed draws for the whole batch, as one generator does in diffusers', async () => {
    const both = await latentsOf(pipe, { ...withNoise(scheduler), seed: 11, numImages: 2 });
    const first = await latentsOf(pipe, { ...withNoise(scheduler), seed: 11 });
    // The first image starts alike, then its noise is what a longer batch leaves to it.
    const alike = distance(imageOf(both, 0, 2), first);
    if (scheduler === 'PNDM' || scheduler === 'DPMSolverSDE') expect(alike).toBeLessThan(BATCH_ERROR);
    else expect(alike).toBeGreaterThan(0.01);
    expect(distance(imageOf(both, 1, 2), first)).toBeGreaterThan(0.01);
  });
});

test('one seed: the batch starts from one draw', async () => {
  const both = await latentsOf(pipe, { seed: 11, numImages: 2 });
  const given = { data: randn(11n, 2 * LATENT), shape: [2, 4, 8, 8] };
  expect(sameBits(both, await latentsOf(pipe, { seed: 99, numImages: 2, latents: given }))).toBe(true);
});

test('a seed has 64 bits; number and bigint are the same', async () => {
  const plain = await latentsOf(pipe, { seed: 42 });
  expect(sameBits(plain, await latentsOf(pipe, { seed: 42n }))).toBe(true);
  const large = await latentsOf(pipe, { seed: 2n ** 64n - 2n });
  expect(sameBits(large, await latentsOf(pipe, { seed: -2 }))).toBe(true);
  expect(sameBits(large, plain)).toBe(false);
});

test('without a seed one is drawn and told', async () => {
  const run = { prompt: 'a lighthouse', steps: 2, output: 'latent' } as const;
  const first = await pipe.generate(run);
  const second = await pipe.generate(run);
  expect(first.seeds).toHaveLength(1);
  expect(first.seeds).not.toEqual(second.seeds);
  const again = await pipe.generate({ ...run, seed: first.seeds[0] as number });
  expect(sameBits(numbersOf(again), numbersOf(first))).toBe(true);
});

test('the result names the seeds', async () => {
  const { seeds } = await pipe.generate({
    prompt: 'a',
    numImages: 2,
    seeds: [5, 6],
    steps: 1,
    output: 'latent',
  });
  expect(seeds).toEqual([5, 6]);
});

describe('batches of prompts', () => {
  const prompts = ['a lighthouse', 'two cats on a sofa', ''];

  test('are the single runs', async () => {
    const seeds = [1, 2, 3];
    const batch = await latentsOf(pipe, { prompt: prompts, seed: undefined, seeds } as object);
    for (const [i, prompt] of prompts.entries()) {
      const single = await latentsOf(pipe, { prompt, seed: seeds[i] as number });
      expect(distance(imageOf(batch, i, 3), single)).toBeLessThan(BATCH_ERROR);
    }
  });

  test('have numImages images of each prompt, prompt by prompt', async () => {
    const seeds = [1, 2, 3, 4];
    const two = prompts.slice(0, 2);
    const batch = await latentsOf(pipe, { prompt: two, numImages: 2, seed: undefined, seeds } as object);
    for (const [i, seed] of seeds.entries()) {
      const single = await latentsOf(pipe, { prompt: two[Math.floor(i / 2)] as string, seed });
      expect(distance(imageOf(batch, i, 4), single)).toBeLessThan(BATCH_ERROR);
    }
  });

  test('take one negative prompt for all, or one each', async () => {
    const seeds = [1, 2];
    const two = prompts.slice(0, 2);
    const run = { prompt: two, seed: undefined, seeds };
    const one = await latentsOf(pipe, { ...run, negativePrompt: 'fog' } as object);
    const same = await latentsOf(pipe, { ...run, negativePrompt: ['fog', 'fog'] } as object);
    const each = await latentsOf(pipe, { ...run, negativePrompt: ['fog', 'rain'] } as object);
    expect(distance(one, same)).toBeLessThan(BATCH_ERROR);
    expect(distance(imageOf(each, 0, 2), imageOf(one, 0, 2))).toBeLessThan(BATCH_ERROR);
    const single = await latentsOf(pipe, { prompt: two[1] as string, negativePrompt: 'rain', seed: 2 });
    expect(distance(imageOf(each, 1, 2), single)).toBeLessThan(BATCH_ERROR);
  });

  test('work with the cache', async () => {
    const cache = { interval: 2, branch: 1 };
    const batch = await latentsOf(pipe, {
      prompt: prompts,
      seed: undefined,
      seeds: [1, 2, 3],
      cache,
    } as object);
    const single = await latentsOf(pipe, { prompt: prompts[1] as string, seed: 2, cache });
    expect(distance(imageOf(batch, 1, 3), single)).toBeLessThan(BATCH_ERROR);
  });
});

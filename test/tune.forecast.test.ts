import { expect, test } from '@jest/globals';
import { DiffusionPipeline, type SchedulerName, type StableDiffusionPipeline } from '../lib/index.js';
import { cheapestPairs } from '../lib/tune/cheapest-pairs.js';
import { ForecastCosts } from '../lib/tune/forecast-costs.js';
import { RULES } from '../lib/tune/forecast-factors.js';
import { tune } from '../lib/tune/index.js';
import { uniformList } from '../lib/tune/lists.js';
import { cacheOf, candidateOf, goesOn, isForecast, keyOf, type Schedule } from '../lib/tune/schedule.js';
import { settled } from '../lib/tune/settled.js';
import { Trials } from '../lib/tune/trials.js';
import { type UncachedRun, uncachedRun } from '../lib/tune/uncached.js';
import { usableRules } from '../lib/tune/usable-rules.js';
import { loadTiny } from './pipelines/tiny.js';

const end = new AbortController().signal;

test('a schedule is the cache option that runs it', () => {
  expect(cacheOf({ steps: [0, 3], between: 1 }, 5)).toEqual({ steps: [0, 3], branch: 1 });
  const features = { steps: [0, 3], between: 1, features: 0.7 };
  expect(cacheOf(features, 5)).toEqual({ steps: [0, 3], branch: 1, featureDamping: 0.7 });
  expect(keyOf(features)).not.toBe(keyOf({ steps: [0, 3], between: 1 }));
  expect([isForecast(features), isForecast({ ...features, features: 0 })]).toEqual([true, false]);
  const held = { steps: [0, 3], between: 'predict' as const };
  expect(cacheOf(held, 5)).toEqual({ plan: 'FPPFP', damping: 0 });
  expect(cacheOf({ ...held, gamma: [0, 0, 0.5] }, 5)).toEqual({ plan: 'FPPFP', gamma: [0, 0, 0.5] });
  // Some retrieve instead, and take no factor.
  const mixed = { ...held, gamma: [0.1, 0.2, 0.3], retrieved: { calls: [2], branch: 1 }, features: 0.7 };
  const own = { plan: 'FPRFP', gamma: [0.1, 0.3], branch: 1, featureDamping: 0.7 };
  expect(cacheOf(mixed, 5)).toEqual(own);
  expect(keyOf(mixed)).not.toBe(keyOf({ ...mixed, retrieved: { calls: [1], branch: 1 } }));
  expect(candidateOf(mixed)).toEqual({ count: 2, between: 'predict', retrieved: { count: 1, branch: 1 } });
  const added = { ...held, clean: [0.1, 0, 0], noise: [0, 0.2, 0] };
  expect(cacheOf(added, 5)).toEqual({ plan: 'FPPFP', damping: 0, clean: [0.1, 0, 0], noise: [0, 0.2, 0] });
  expect(keyOf(added)).not.toBe(keyOf({ ...added, clean: [0.2, 0, 0] }));
  const bent = { ...held, gamma: [0, 0, 0.5], curve: [0, 0, 0.2] };
  expect(cacheOf(bent, 5)).toEqual({ plan: 'FPPFP', gamma: [0, 0, 0.5], curve: [0, 0, 0.2] });
  expect(keyOf(bent)).not.toBe(keyOf({ ...bent, curve: [0, 0, 0.1] }));
  expect([goesOn(bent), goesOn({ ...held, curve: [0, 0, 0.2] }), goesOn(added)]).toEqual([true, true, false]);
  // Factors of zero hold, by whatever rule they were found.
  expect(keyOf({ ...held, gamma: [0, 0, 0], rule: 'fitted' })).toBe(keyOf(held));
  expect(keyOf({ ...held, gamma: [0, 0, 0.5] })).not.toBe(keyOf(held));
});

test('the cheapest list by the last two full calls is the one that trying all of them finds', () => {
  const calls = 9;
  const cost = (before: number, last: number, next: number) =>
    next - last > 6 ? Infinity : ((before * 31 + last * 37 + next * 101) % 19) * (next - last);
  const total = (list: readonly number[]) =>
    list.reduce((sum, last, i) => sum + cost(list[i - 1] ?? -1, last, list[i + 1] ?? calls), 0);
  const lists = (count: number, first = 1): number[][] =>
    count === 0
      ? [[]]
      : Array.from({ length: calls - first }, (_, i) => first + i).flatMap((call) =>
          lists(count - 1, call + 1).map((rest) => [call, ...rest]),
        );
  const places = Array.from({ length: calls }, (_, i) => i);
  for (let count = 2; count <= calls; count++) {
    const found = cheapestPairs(places, calls, count, cost) as number[];
    expect(found).toHaveLength(count);
    expect(found[0]).toBe(0);
    expect(total(found)).toBe(Math.min(...lists(count - 1).map((rest) => total([0, ...rest]))));
  }
  expect(cheapestPairs(places, calls, 1, cost)).toBeUndefined();
});

test('runs without previews, or without noise, have no forecasts', () => {
  const latents = [new Float32Array(8), new Float32Array(8)];
  const level = { sqrtAlpha: 0.6, sigma: 0.8 };
  const known = { latents, denoised: latents, levels: [level, level] };
  expect(uncachedRun(known, 2)?.pictures).toBe(2);
  expect(uncachedRun({ ...known, denoised: [] }, 2)).toBeUndefined();
  expect(uncachedRun({ ...known, levels: [level, { sqrtAlpha: 1, sigma: 0 }] }, 2)).toBeUndefined();
});

test('what predicted gaps cost by arithmetic is what runs with them lose', async () => {
  await using pipe = (await DiffusionPipeline.fromPretrained('models/demo', {
    device: 'cpu',
  })) as StableDiffusionPipeline;
  const run = {
    prompt: ['a red barn', 'a black cat in the snow'],
    seeds: [1, 2],
    steps: 12,
    scheduler: 'DDIM' as const,
  };
  const trials = new Trials(pipe, run, { onRun: () => {}, end });
  await trials.start();
  const uncached = trials.uncached as NonNullable<typeof trials.uncached>;
  expect(uncached).toMatchObject({ calls: 12, pictures: 2 });
  // A growth of 1: the errors at the end of the gap itself, where the run is told them.
  const flat = Array.from({ length: 13 }, () => [1, 1]);
  const costs = await ForecastCosts.measure(uncached, flat, RULES);
  const decibels = (errors: readonly number[]) =>
    errors.reduce((sum, error) => sum - 10 * Math.log10(error), 0) / errors.length;
  for (const rule of RULES) {
    const steps = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11];
    const schedule = costs.schedule(steps, rule);
    expect(schedule.gamma).toHaveLength(2);
    const errors = await trials.errors(schedule);
    const real = decibels(errors[7] as readonly number[]);
    expect(Math.abs(real - costs.decibels(schedule))).toBeLessThan(0.5);
  }
  // Fitted factors leave the least at every call, so in a gap of one.
  const one = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11];
  const of = (rule: 'held' | 'line' | 'fitted') => costs.decibels(costs.schedule(one, rule));
  expect(of('fitted')).toBeGreaterThan(of('held'));
  const [best] = costs.best(5);
  // Behind a single full call the last prediction of a long gap is the worst of it.
  const gap = costs.schedule([0, 1, 2, 3, 4, 5, 6, 7], 'held');
  expect([...costs.worstCalls(gap)].sort((a, b) => a - b)).toEqual([8, 9, 10, 11]);
  const uniform = costs.schedule(uniformList(12, 5), best?.rule ?? 'held');
  expect(costs.decibels(best ?? uniform)).toBeGreaterThanOrEqual(costs.decibels(uniform));
});

test('a sampler without room for clean latents, or for predictions, has other rules', async () => {
  await using pipe = await loadTiny();
  const rulesOf = async (scheduler: SchedulerName) => {
    const run = { prompt: 'a', seed: 1, steps: 10, scheduler };
    const trials = new Trials(pipe, run, { onRun: () => {}, end });
    await trials.start();
    return usableRules(trials, RULES);
  };
  expect(await rulesOf('DDIM')).toEqual(RULES);
  expect(await rulesOf('LMS')).toEqual(['held', 'half', 'line', 'fitted']);
});

test('factors that runs find leave less than those of the uncached run', async () => {
  await using pipe = (await DiffusionPipeline.fromPretrained('models/demo', {
    device: 'cpu',
  })) as StableDiffusionPipeline;
  const run = {
    prompt: ['a red barn', 'a black cat in the snow'],
    seeds: [1, 2],
    steps: 12,
    scheduler: 'DDIM' as const,
    guidanceScale: 2.5,
  };
  const trials = new Trials(pipe, run, { onRun: () => {}, end });
  await trials.start();
  const flat = Array.from({ length: 13 }, () => [1, 1]);
  const costs = await ForecastCosts.measure(trials.uncached as UncachedRun, flat, ['held', 'whole']);
  const decibels = async (schedule: Schedule, call: number) => {
    const errors = (await trials.errors(schedule))[call] as readonly number[];
    return errors.reduce((sum, error) => sum - 10 * Math.log10(error), 0) / errors.length;
  };
  const held = costs.schedule([0, 4, 8], 'held');
  const clean = (await settled(trials, held, ['clean'])) as Schedule;
  const all = (await settled(trials, held, ['clean', 'noise', 'gamma'])) as Schedule;
  const bent = (await settled(trials, held, ['clean', 'noise', 'gamma', 'curve'])) as Schedule;
  expect([clean.rule, all.rule]).toEqual(['clean', 'whole']);
  expect(all.curve).toEqual(Array(9).fill(0));
  // There is no change of the change before the third full call.
  expect(bent.curve?.map((factor) => factor !== 0)).toEqual([
    ...Array(6).fill(false),
    ...Array(3).fill(true),
  ]);
  expect(clean.gamma).toEqual(Array(9).fill(0));
  // Behind the first gap the second one's forecasts bring the latents back, the more factors there are.
  const before = await decibels(held, 8);
  expect(await decibels(clean, 8)).toBeGreaterThan(before + 0.3);
  expect(await decibels(all, 8)).toBeGreaterThan(before + 1);
  expect(await decibels(all, 12)).toBeGreaterThan((await decibels(held, 12)) + 1);
  expect(await decibels(bent, 12)).toBeGreaterThan(await decibels(all, 12));
  // No time, no factors.
  const late = new Trials(pipe, run, { onRun: () => {}, end, isOver: () => true });
  await late.start();
  expect(await settled(late, held, ['clean'])).toBeUndefined();
});

test('predictions are searched, unless they are not wanted or the sampler has no room', async () => {
  await using pipe = await loadTiny();
  const search = async (predict: boolean, scheduler: SchedulerName) => {
    const seen = new Set<unknown>();
    const { cache } = await tune(
      pipe,
      { steps: 10, guidanceScale: 3, scheduler },
      { speedup: 1.2 },
      {
        prompts: ['a red house', 'a dog'],
        validationPrompts: ['a cat'],
        branches: [0],
        maxRuns: 60,
        predict,
        onProgress: ({ schedule: { between, retrieved } }) => seen.add(retrieved ? 'mixed' : between),
      },
    );
    // Whatever was found, it runs.
    await pipe.generate({ prompt: 'a dog', steps: 10, scheduler, cache, output: 'latent' });
    return [...seen];
  };
  expect(await search(true, 'DDIM')).toEqual(expect.arrayContaining([0, 'predict', 'mixed']));
  expect(await search(false, 'DDIM')).toEqual([0]);
});

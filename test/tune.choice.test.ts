import { expect, test } from '@jest/globals';
import type { Tried } from '../lib/tune/budget.js';
import { firstThat } from '../lib/tune/first-that.js';
import type { ForecastCosts } from '../lib/tune/forecast-costs.js';
import { Foresight } from '../lib/tune/foresight.js';
import { measureGrowth } from '../lib/tune/growth.js';
import { gainOf, merit, tipsOver } from '../lib/tune/likeness.js';
import { uniformList } from '../lib/tune/lists.js';
import type { Schedule } from '../lib/tune/schedule.js';
import { Search } from '../lib/tune/search.js';
import type { Trials } from '../lib/tune/trials.js';
import { Tries } from '../lib/tune/tries.js';
import { mostDecibels, scoreOf } from '../lib/tune/weighing.js';

/** Nothing is kept. */
const remembered = (_: string, make: () => unknown) => make();

test('schedules are chosen by their least like pictures as well as by the mean', () => {
  expect(merit([50, 50, 50, 20])).toBeCloseTo((42.5 + 20) / 2);
  const tips = [54, 54, 54, 20];
  const steady = [50, 50, 50, 30];
  expect(merit(steady)).toBeGreaterThan(merit(tips));
  // What one picture gains or loses counts no more than what the least like ones do.
  expect(gainOf([51, 51, 51, 51], [50, 50, 50, 50])).toBeCloseTo(1);
  expect(gainOf([52, 52, 52, 18], [50, 50, 50, 50])).toBeLessThan(0);
  expect(gainOf([52, 52, 52, 49.9], [50, 50, 50, 50])).toBeGreaterThan(0);
});

test('a picture is tipped over where it is below the worst of the even setting, and its own there', () => {
  expect(tipsOver([60, 60, 33], [45, 36, 40])).toBe(true);
  expect(tipsOver([60, 60, 36], [45, 36, 40])).toBe(false);
  // The same picture is about as far away with the even setting.
  expect(tipsOver([60, 60, 18.4], [45, 44, 19.1])).toBe(false);
  expect(tipsOver([60, 60, 17.9], [45, 44, 19.1])).toBe(true);
  // Above what can be seen.
  expect(tipsOver([60, 60, 41], [45, 46, 47])).toBe(false);
  // With a budget in decibels a faster schedule may be further away, all of it.
  expect(tipsOver([35, 33, 31], [39, 37, 35])).toBe(false);
  expect(tipsOver([40, 39, 20], [39, 37, 35])).toBe(true);
});

test('the answer has no fewer decibels in the mean than the best even setting', async () => {
  const decibels: Record<string, number[]> = { even: [40, 40, 40, 20], steady: [34, 34, 34, 34] };
  const trials = {
    speedup: () => 2,
    isOver: () => false,
    remembered,
    decibels: async ({ steps }: Schedule) => decibels[steps.length === 1 ? 'even' : 'steady'],
    psnr: async ({ steps }: Schedule) => (steps.length === 1 ? 35 : 34),
  } as unknown as Trials;
  const tries = new Tries(trials, { speedup: 2 });
  await tries.tryEven({ steps: [0], between: 0 });
  const steady = await tries.try({ steps: [0, 1], between: 0 });
  expect(steady.merit).toBeGreaterThan((tries.even as Tried).merit);
  expect(tries.answer()).toBe(tries.even);
});

test('lists are the best for the typical picture, or for the worst ones', () => {
  // Of two pictures, the second one is far off unless call 2 is full.
  const errors = new Map([
    [2, [1e-3, 1e-3]],
    [3, [1e-4, 1e-1]],
    [4, [1e-6, 1e-2]],
  ]);
  const errorsOf = ([, second = 0]: readonly number[]) => errors.get(second) as number[];
  const cheapest = ([a = 0, b = 0]: readonly number[]) => {
    const costs = [...errors].map(([call, [first = 0, second = 0]]) => ({
      call,
      cost: a * first + b * second,
    }));
    return [0, costs.reduce((least, one) => (one.cost < least.cost ? one : least)).call];
  };
  expect(mostDecibels(6, 2, errorsOf, cheapest)).toEqual([0, 4]);
  expect(mostDecibels(6, 2, errorsOf, cheapest, 'worst')).toEqual([0, 2]);
  expect([scoreOf([1e-3, 1e-1], 'typical'), scoreOf([0.02, 0], 'worst')]).toEqual([20, 20]);
});

test('the first of a list is found, in fewer looks where it was foretold', async () => {
  const list = Array.from({ length: 50 }, (_, i) => i);
  for (const first of [0, 1, 23, 49, 50]) {
    const looksOf = async (likely?: (one: number) => boolean | undefined) => {
      let looks = 0;
      const found = await firstThat(
        list,
        async (one) => {
          looks++;
          return one >= first;
        },
        likely,
      );
      expect(found).toBe(first);
      return looks;
    };
    const halving = await looksOf();
    expect(halving).toBeGreaterThanOrEqual(5);
    expect(await looksOf((one) => one >= first)).toBeLessThanOrEqual(2);
    // Wrong expectations take more looks, but find the same.
    for (const off of [-3, 3, 100]) await looksOf((one) => one >= first + off);
    expect(await looksOf(() => undefined)).toBe(halving);
  }
});

test('what a run shows is expected of other lists of its rule, and of other rules until these have run', () => {
  const costs = { decibels: ({ steps }: Schedule) => 3 * steps.length } as unknown as ForecastCosts;
  const foresight = new Foresight(costs);
  const list = (count: number, rule: 'held' | 'fitted'): Schedule => ({
    steps: Array.from({ length: count }, (_, i) => i),
    between: 'predict',
    rule,
  });
  expect(foresight.psnr(list(10, 'held'))).toBeUndefined();
  foresight.learn(list(10, 'held'), 34);
  expect(foresight.psnr(list(9, 'held'))).toBe(31);
  expect(foresight.psnr(list(9, 'fitted'))).toBe(31);
  foresight.learn(list(10, 'fitted'), 40);
  foresight.learn(list(6, 'fitted'), 32);
  expect([9, 7].map((count) => foresight.psnr(list(count, 'fitted')))).toEqual([37, 35]);
  expect(foresight.psnr(list(9, 'held'))).toBe(31);
});

test('growth is measured with gaps of the kind, at some calls, and lies between them at the others', async () => {
  const runs: Schedule[] = [];
  const calls = 50;
  /** An error before call i is (i / 50)^2 in the end. */
  const growthAt = (call: number) => (call / calls) ** 2;
  const trials = {
    calls,
    isOver: () => false,
    remembered,
    errors: async (schedule: Schedule) => {
      runs.push(schedule);
      const others = new Set(schedule.steps);
      const end = Math.max(...Array.from({ length: calls }, (_, i) => i).filter((i) => !others.has(i))) + 1;
      return Array.from({ length: calls + 1 }, (_, i) => [
        i < end ? 0 : i === calls ? 0.1 * growthAt(end) : 0.1,
      ]);
    },
  } as unknown as Trials;
  const growth = await measureGrowth(trials, 'predict');
  expect(growth).toHaveLength(calls + 1);
  expect(runs).toHaveLength(8);
  expect(new Set(runs.map(({ between }) => between))).toEqual(new Set(['predict']));
  for (let call = 8; call < calls; call++) {
    expect(10 * Math.abs(Math.log10((growth[call]?.[0] as number) / growthAt(call)))).toBeLessThan(0.5);
  }
  expect(growth[calls]).toEqual([1]);
  expect(growth[0]).toEqual(growth[2]);
  // With time for half of the gaps these are spread over the run; without any, errors are taken to stay what they are.
  runs.length = 0;
  const short = { ...trials, isOver: () => runs.length >= 4 } as unknown as Trials;
  const half = await measureGrowth(short, 'predict');
  for (const call of [14, 26, 38]) {
    expect(10 * Math.abs(Math.log10((half[call]?.[0] as number) / growthAt(call)))).toBeLessThan(0.5);
  }
  const late = { ...trials, isOver: () => true } as unknown as Trials;
  expect(await measureGrowth(late, 'predict')).toEqual(Array.from({ length: calls + 1 }, () => []));
});

test('lists of retrieved calls are searched where evenly spread ones come near predictions', async () => {
  const search = async (predicted: number, forecasts = true) => {
    const runs: Schedule[] = [];
    const decibelsOf = ({ between, steps, features = 0 }: Schedule) =>
      between === 'predict' ? predicted : 30 + steps.length + features;
    const trials = {
      calls: 10,
      isOver: () => false,
      remembered,
      speedup: ({ count }: { count: number }) => 10 / count,
      decibels: async (schedule: Schedule) => {
        runs.push(schedule);
        return [decibelsOf(schedule)];
      },
      psnr: async (schedule: Schedule) => decibelsOf(schedule),
      gain: async (one: Schedule, other: Schedule) => decibelsOf(one) - decibelsOf(other),
      errors: async (schedule: Schedule) => {
        runs.push(schedule);
        return Array.from({ length: 11 }, (_, call) => [call / 10]);
      },
    } as unknown as Trials;
    const found = new Search(trials, { speedup: 2 }, [0], forecasts, undefined);
    await found.start();
    await found.measureForecasts();
    await found.runPredictions();
    const before = runs.length;
    await found.measureGaps();
    const measured = runs.length - before;
    await found.run();
    expect(found.tries.answer()?.psnr).toBe(forecasts ? predicted : 35);
    return { measured, features: runs.some(({ features }) => features) };
  };
  // Five full calls have 35 dB. One run, of these, says that no list will do.
  expect(await search(42)).toEqual({ measured: 1, features: false });
  const near = await search(40);
  expect(near.measured).toBeGreaterThan(10);
  expect(near.features).toBe(true);
  expect((await search(42, false)).measured).toBeGreaterThan(10);
});

test('half of the calls are half of the time, although predicted ones take a little', async () => {
  const trials = {
    calls: 20,
    isOver: () => false,
    remembered,
    speedup: ({ count }: { count: number }) => 20 / (count + 0.005 * (20 - count)),
    decibels: async ({ steps }: Schedule) => [steps.length],
    psnr: async ({ steps }: Schedule) => steps.length,
    gain: async (one: Schedule, other: Schedule) => one.steps.length - other.steps.length,
    errors: async () => [[0]],
  } as unknown as Trials;
  const search = new Search(trials, { speedup: 2 }, [0], true, undefined);
  await search.start();
  await search.runPredictions();
  expect(search.tries.answer()?.steps).toHaveLength(10);
});

test('there is an answer where later calls show that none is as fast as it seemed', async () => {
  let seconds = 1;
  const trials = {
    isOver: () => false,
    remembered,
    speedup: ({ count }: { count: number }) => 10 / count / seconds,
    decibels: async ({ steps }: Schedule) => [steps.length],
    psnr: async ({ steps }: Schedule) => steps.length,
  } as unknown as Trials;
  const tries = new Tries(trials, { speedup: 2 });
  await tries.tryEven({ steps: [0, 2, 4, 6, 8], between: 0 });
  await tries.tryEven({ steps: [0, 3, 6, 9], between: 0 });
  expect(tries.answer()?.steps).toHaveLength(5);
  seconds = 1.2;
  expect(tries.answer()?.steps).toHaveLength(4);
  seconds = 2;
  expect(tries.even?.steps).toHaveLength(4);
  expect(tries.isWithin(tries.answer() as Tried)).toBe(false);
});

test('a plan has to be better than as many retrieved calls as fit, evenly spread', async () => {
  // Half of the time: intervals of 3 have 14 full calls, but there is room for 16.
  const trials = {
    calls: 40,
    isOver: () => false,
    remembered,
    speedup: ({ count }: { count: number }) => 40 / (count + (1 / 6) * (40 - count)),
    decibels: async ({ steps }: Schedule) => [steps.length],
    psnr: async ({ steps }: Schedule) => steps.length,
    errors: async () => [[0]],
  } as unknown as Trials;
  const search = new Search(trials, { speedup: 2 }, [0], false, undefined);
  await search.start();
  expect(search.tries.even).toMatchObject({ between: 0, steps: uniformList(40, 16) });
});

test('a speed that predictions alone reach is searched with them, beside the fastest that retrieves', async () => {
  const costs = { 0: 0.3, 1: 0.2, predict: 0.005 };
  const trialsOf = (psnr: (schedule: Schedule) => number) =>
    ({
      calls: 20,
      isOver: () => false,
      remembered,
      speedup: ({ count, between }: { count: number; between: 0 | 1 | 'predict' }) =>
        20 / (count + costs[between] * (20 - count)),
      decibels: async (schedule: Schedule) => [psnr(schedule)],
      psnr: async (schedule: Schedule) => psnr(schedule),
      gain: async (one: Schedule, other: Schedule) => psnr(one) - psnr(other),
      errors: async () => [[0]],
    }) as unknown as Trials;
  const search = async (speedup: number, psnr: (schedule: Schedule) => number, forecasts = true) => {
    const found = new Search(trialsOf(psnr), { speedup }, [0, 1], forecasts, undefined);
    await found.start();
    await found.runPredictions();
    return found.tries;
  };
  // Retrieving, it is 4.2 times as fast at most.
  const found = await search(5, ({ steps }) => steps.length);
  expect(found.even).toMatchObject({ steps: [0], between: 1 });
  expect(found.answer()).toMatchObject({ between: 'predict' });
  expect(found.answer()?.steps).toHaveLength(3);
  // They still have to be better than it.
  const worse = await search(5, ({ between }) => (between === 'predict' ? 10 : 20));
  expect(worse.answer()).toBe(worse.even);
  expect(worse.isWithin(worse.even as Tried)).toBe(false);
  await expect(search(5, () => 1, false)).rejects.toThrow('5 cannot be reached: at most 4.17 here');
  await expect(search(50, () => 1)).rejects.toThrow('50 cannot be reached: at most 18.26 here');
});

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type CacheSettings, DiffusionPipeline, type StableDiffusionPipeline } from '../lib/index.js';
import { intervalList, intervalSchedules, presetSchedules } from '../lib/tune/even.js';
import { GapCosts } from '../lib/tune/gaps.js';
import { measureGrowth } from '../lib/tune/growth.js';
import { type TunablePipeline, type TuneOptions, tune } from '../lib/tune/index.js';
import { cheapestList, neighbours, nonuniformLists, uniformList } from '../lib/tune/lists.js';
import { cacheOf } from '../lib/tune/schedule.js';
import { Trials } from '../lib/tune/trials.js';
import { runCli } from './cli-run.js';
import { loadTiny } from './pipelines/tiny.js';

const isList = (list: readonly number[], calls: number) =>
  list[0] === 0 &&
  list.every(
    (call, i) => Number.isInteger(call) && call < calls && (i === 0 || call > (list[i - 1] as number)),
  );

test('lists have the number of full calls that was asked for', () => {
  for (const calls of [9, 25, 50]) {
    for (let count = 1; count < calls; count++) {
      const lists = [uniformList(calls, count), ...nonuniformLists(calls, count)];
      for (const list of lists) {
        expect(list).toHaveLength(count);
        expect(isList(list, calls)).toBe(true);
      }
    }
  }
  expect(uniformList(20, 4)).toEqual([0, 5, 10, 15]);
});

test('presets and intervals are tried from the fewest full calls on', () => {
  expect(presetSchedules(11, [0, 1], undefined).map(({ steps }) => steps.length)).toEqual([3, 4, 6]);
  expect(presetSchedules(11, [1], undefined)).toEqual([]);
  // Where presets stand for something else both are tried.
  const size = { width: 128, height: 128, pipeline: 'StableDiffusionPipeline', schedulerConfig: {} };
  const run = { ...size, scheduler: 'DDIMScheduler', steps: 25, guidanceScale: 2.5 };
  const own = presetSchedules(25, [0], run);
  expect(own.map(({ steps }) => steps.length)).toEqual([5, 9, 9, 13, 13]);
  expect(own.map(({ features }) => features)).toEqual([undefined, undefined, 0.7, undefined, 0.5]);
  const lists = intervalSchedules(11, 2).map(({ steps }) => steps);
  expect(lists.map((steps) => steps.length)).toEqual([1, 2, 3, 4, 6]);
  expect(lists[1]).toEqual([0, 6]);
});

test('neighbours differ in one full call, which moved by no more than the distance', () => {
  const list = [0, 3, 6];
  const all = neighbours(list, 9, 2);
  // 3 goes to 1, 2, 4, 5 and 6 to 4, 5, 7, 8.
  expect(all.map(String).sort()).toEqual(
    ['0,1,6', '0,2,6', '0,4,6', '0,5,6', '0,3,4', '0,3,5', '0,3,7', '0,3,8'].sort(),
  );
});

test('the cheapest list is the one that trying all of them finds', () => {
  const calls = 9;
  // Costs that are no sum of anything, the same ones every time.
  const cost = (from: number, to: number) => ((from * 37 + to * 101) % 17) * (to - from - 1);
  const total = (list: readonly number[]) =>
    list.reduce((sum, from, i) => sum + cost(from, list[i + 1] ?? calls), 0);
  const lists = (count: number, first = 1): number[][] =>
    count === 0
      ? [[]]
      : Array.from({ length: calls - first }, (_, i) => first + i).flatMap((call) =>
          lists(count - 1, call + 1).map((rest) => [call, ...rest]),
        );
  const places = Array.from({ length: calls }, (_, i) => i);
  for (let count = 1; count <= calls; count++) {
    const least = Math.min(...lists(count - 1).map((rest) => total([0, ...rest])));
    const found = cheapestList(places, calls, count, cost) as number[];
    expect(isList(found, calls)).toBe(true);
    expect(found).toHaveLength(count);
    expect(total(found)).toBe(least);
  }
  expect(cheapestList([0, 4], calls, 3, cost)).toBeUndefined();
});

/** The full calls of what was found. */
const stepsOf = ({ steps, plan }: CacheSettings): readonly number[] =>
  steps ?? [...(plan ?? '')].flatMap((letter, i) => (letter === 'F' ? [i] : []));

// PNDM, the model's sampler, repeats a step.
const CALLS = 11;
const OPTIONS = { steps: 10, guidanceScale: 3 };
const PROMPTS = { prompts: ['a red house', 'a dog'], validationPrompts: ['a cat'] };

test('the closest schedule of a speed is no worse than even steps on its own prompts', async () => {
  await using pipe = await loadTiny();
  const seen = new Map<string, number>();
  const key = (cache: CacheSettings) => JSON.stringify(cache);
  const result = await tune(
    pipe,
    OPTIONS,
    { speedup: 1.2 },
    {
      ...PROMPTS,
      branches: [0],
      maxRuns: 80,
      onProgress: ({ phase, schedule, psnr }) => {
        if (phase !== 'validation' && psnr !== undefined) seen.set(key(cacheOf(schedule, CALLS)), psnr);
      },
    },
  );
  const steps = stepsOf(result.cache);
  const { psnr } = result.tuning;
  expect(isList(steps, CALLS)).toBe(true);
  expect(result.isWithin).toBe(true);
  expect(result.speedup).toBeGreaterThanOrEqual(0.99 * 1.2);
  expect(result.runs).toBeLessThanOrEqual(82);
  expect(seen.get(key(result.cache))).toBeCloseTo(psnr);
  const lists = [...seen.keys()].map((cache) => stepsOf(JSON.parse(cache)).join());
  expect(lists).toContain(uniformList(CALLS, steps.length).join());
  // Nor than the presets and intervals that fit, which were tried first.
  const { even, validation } = result;
  expect(seen.get(key({ steps: even.steps, branch: even.branch }))).toBeCloseTo(result.tuning.evenPsnr);
  for (const interval of [2, 3, 5]) {
    const preset = seen.get(key({ steps: intervalList(CALLS, interval), branch: 0 }));
    if (preset !== undefined) expect(psnr).toBeGreaterThanOrEqual(preset);
  }
  expect(result.tuning.gain).toBeGreaterThanOrEqual(0);
  expect(validation?.gain).toBeGreaterThanOrEqual(0);
});

test('what gaps cost tells the errors of lists', async () => {
  await using pipe = (await DiffusionPipeline.fromPretrained('models/demo', {
    device: 'cpu',
  })) as StableDiffusionPipeline;
  const run = { prompt: ['a red barn', 'a black cat in the snow'], seeds: [1, 2], steps: 12 };
  const trials = new Trials(pipe, run, { onRun: () => {}, end: new AbortController().signal });
  await trials.start();
  const costs = (await GapCosts.measure(trials, 0, await measureGrowth(trials, 0))) as GapCosts;
  // A gap up to the end is exact.
  const real = async (steps: number[]) => (await trials.errors({ steps, between: 0 })).at(-1) as number[];
  const until = [0, 1, 2, 3, 4, 5];
  for (const [i, error] of (await real(until)).entries()) {
    expect(costs.errors(until)[i]).toBeCloseTo(error, 9);
  }
  const decibels = (errors: readonly number[]) =>
    errors.reduce((sum, error) => sum - 10 * Math.log10(error), 0) / errors.length;
  const pairs: [number, number][] = [];
  for (const steps of [
    [0, 6],
    [0, 2, 9],
    [0, 3, 6, 9],
    [0, 2, 4, 6, 8, 10],
  ]) {
    pairs.push([costs.decibels(steps), decibels(await real(steps))]);
  }
  // Added up they put lists in the right order, and small ones are near what is measured.
  pairs.sort(([a], [b]) => a - b);
  const measured = pairs.map(([, value]) => value);
  expect(measured).toEqual([...measured].sort((a, b) => a - b));
  for (const [added, value] of pairs.slice(-2)) expect(Math.abs(added - value)).toBeLessThan(5);
  const best = costs.bestList(4) as number[];
  expect(costs.decibels(best)).toBeGreaterThanOrEqual(costs.decibels(uniformList(12, 4)));
});

test('the fastest schedule of a PSNR has it, and one out of reach says so', async () => {
  await using pipe = await loadTiny();
  const within = await tune(pipe, OPTIONS, { minPsnr: 15 }, { ...PROMPTS, branches: [0], maxRuns: 30 });
  expect(within.isWithin).toBe(true);
  expect(within.tuning.psnr).toBeGreaterThanOrEqual(15);
  const beyond = await tune(pipe, OPTIONS, { minPsnr: 200 }, { ...PROMPTS, branches: [0], maxRuns: 5 });
  expect(beyond.isWithin).toBe(false);
  await expect(tune(pipe, OPTIONS, { speedup: 1000 }, PROMPTS)).rejects.toThrow(/cannot be reached/);
  await expect(tune(pipe, OPTIONS, { speedup: 1 }, PROMPTS)).rejects.toThrow(/speedup must be/);
  await expect(tune(pipe, OPTIONS, { speedup: 2 }, { ...PROMPTS, branches: [] })).rejects.toThrow(
    /branches must be at least one/,
  );
});

test('a stop gives the best so far, untried on other prompts; time that is over before anything is an error', async () => {
  await using pipe = await loadTiny();
  const stop = new AbortController();
  let tried = 0;
  const result = await tune(
    pipe,
    OPTIONS,
    { speedup: 1.1 },
    {
      ...PROMPTS,
      branches: [0],
      stop: stop.signal,
      onProgress: ({ phase, psnr }) => {
        if (psnr !== undefined && phase === 'search' && ++tried === 2) stop.abort();
      },
    },
  );
  expect(result).toMatchObject({ isCutShort: true, validation: undefined });
  expect(isList(stepsOf(result.cache), CALLS)).toBe(true);
  const before = tune(pipe, OPTIONS, { speedup: 1.1 }, { ...PROMPTS, maxSeconds: 1e-3 });
  await expect(before).rejects.toThrow(/maxSeconds .* had passed before a schedule was tried/);
  const reason = new Error('enough');
  const aborted = tune(pipe, { ...OPTIONS, signal: AbortSignal.abort(reason) }, { speedup: 1.1 }, PROMPTS);
  await expect(aborted).rejects.toBe(reason);
});

test('what was measured is kept, and the same call goes on from there', async () => {
  await using pipe = await loadTiny();
  const folder = mkdtempSync(join(tmpdir(), 'tune-resume-'));
  const resume = join(folder, 'plan.jsonl');
  /** The runs that are made, without those that have no cache. */
  const made: string[] = [];
  const watched: TunablePipeline = {
    ...{ unet: pipe.unet, vae: pipe.vae, model: pipe.model },
    plannedRun: (options) => pipe.plannedRun(options as never),
    generate: (options) => {
      const { cache, prompt, seeds, output } = options;
      // Runs that find factors are made anew where the search was ended among them.
      if (cache && !options.previewEvery) made.push(JSON.stringify({ cache, prompt, seeds, output }));
      return pipe.generate(options as never);
    },
  };
  const search = (tuning: Partial<TuneOptions>) =>
    tune(watched, OPTIONS, { speedup: 1.3 }, { ...PROMPTS, branches: [0], maxRuns: 60, resume, ...tuning });
  const first = await search({ maxRuns: 12 });
  expect(first.isCutShort).toBe(true);
  const before = new Set(made.splice(0));
  expect(before.size).toBeGreaterThan(3);
  // As a kill leaves it.
  appendFileSync(resume, '["tuning pictures [0,[0');
  const second = await search({});
  expect(made.length).toBeGreaterThan(0);
  expect(made.filter((run) => before.has(run))).toEqual([]);
  expect(second.runs).toBeGreaterThan(0);
  // Another budget knows it, other prompts do not.
  for (const run of made.splice(0)) before.add(run);
  await tune(watched, OPTIONS, { speedup: 1.2 }, { ...PROMPTS, branches: [0], maxRuns: 20, resume });
  expect(made.filter((run) => before.has(run))).toEqual([]);
  await expect(search({ prompts: ['a dog'] })).rejects.toThrow(
    /resume .*plan.jsonl is of another measurement/,
  );
  rmSync(folder, { recursive: true });
});

test('the command prints the option to paste, and says what is missing', async () => {
  const model = ['-m', 'test/fixtures/sd15-tiny', '--steps', '9', '--scheduler', 'DDIM'];
  const prompts = ['-p', 'a red house', '-p', 'a dog'];
  const run = (...args: string[]) => runCli(['tune', ...model, ...args]);
  const { code, out, err } = await run(...prompts, '--min-psnr', '10', '--branches', '0', '--max-runs', '4');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/--cache steps=0[\d+]*,branch=0\ncache: \{ steps: \[0[\d, ]*\], branch: 0 \}\n/);
  const limits = ['--branches', '0', '--max-runs', '4'];
  const folder = mkdtempSync(join(tmpdir(), 'tune-resume-'));
  const diary = join(folder, 'diary.txt');
  writeFileSync(diary, 'dear diary\n');
  const refused = await run(...prompts, '--min-psnr', '10', ...limits, '--resume', diary);
  expect(refused.err).toMatch(/--resume .*diary.txt is of another measurement/);
  rmSync(folder, { recursive: true });
  expect((await run(...prompts, '--budget', '10dB', '--no-predict', ...limits)).out).toMatch(
    /--cache steps=0/,
  );
  expect((await run(...prompts, '--budget', 'fast')).err).toMatch(/must be as 35dB, 2.5x or 1\/3/);
  expect((await run(...prompts)).err).toMatch(/--min-psnr or --speedup is missing/);
  expect((await run('--speedup', '2')).err).toMatch(/--prompt is missing/);
});

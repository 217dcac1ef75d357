import { expect, test } from '@jest/globals';
import { tune } from '../lib/tune/index.js';
import { neighbours, nonuniformLists, uniformList } from '../lib/tune/lists.js';
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

test('neighbours differ in one full call, which moved by no more than the distance', () => {
  const list = [0, 3, 6];
  const all = neighbours(list, 9, 2);
  // 3 goes to 1, 2, 4, 5 and 6 to 4, 5, 7, 8.
  expect(all.map(String).sort()).toEqual(
    ['0,1,6', '0,2,6', '0,4,6', '0,5,6', '0,3,4', '0,3,5', '0,3,7', '0,3,8'].sort(),
  );
});

// PNDM, the model's sampler, repeats a step.
const CALLS = 11;
const OPTIONS = { steps: 10, guidanceScale: 3 };
const PROMPTS = { prompts: ['a red house', 'a dog'], validationPrompts: ['a cat'] };

test('the likest schedule of a speed is no worse than even steps on its own prompts', async () => {
  await using pipe = await loadTiny();
  const seen = new Map<string, number>();
  const result = await tune(
    pipe,
    OPTIONS,
    { speedup: 1.2 },
    {
      ...PROMPTS,
      branches: [0],
      maxRuns: 40,
      onProgress: ({ phase, schedule, psnr }) => {
        if (phase === 'search') seen.set(schedule.steps.join(), psnr);
      },
    },
  );
  const { cache, psnr } = result;
  expect(isList(cache.steps, CALLS)).toBe(true);
  expect(result.isWithin).toBe(true);
  expect(result.speedup).toBeGreaterThanOrEqual(1.2);
  expect(result.runs).toBeLessThanOrEqual(41);
  expect(seen.get(cache.steps.join())).toBeCloseTo(psnr);
  expect([...seen.keys()]).toContain(uniformList(CALLS, cache.steps.length).join());
  expect(result.validation.uniform.steps).toEqual(uniformList(CALLS, cache.steps.length));
  expect(result.validation.gain).toBeCloseTo(result.validation.psnr - result.validation.uniform.psnr);
});

test('the fastest schedule of a likeness has it, and one out of reach says so', async () => {
  await using pipe = await loadTiny();
  const within = await tune(pipe, OPTIONS, { minPsnr: 15 }, { ...PROMPTS, branches: [0], maxRuns: 30 });
  expect(within.isWithin).toBe(true);
  expect(within.psnr).toBeGreaterThanOrEqual(15);
  const beyond = await tune(pipe, OPTIONS, { minPsnr: 200 }, { ...PROMPTS, branches: [0], maxRuns: 5 });
  expect(beyond.isWithin).toBe(false);
  await expect(tune(pipe, OPTIONS, { speedup: 1000 }, PROMPTS)).rejects.toThrow(/cannot be reached/);
  await expect(tune(pipe, OPTIONS, { speedup: 1 }, PROMPTS)).rejects.toThrow(/speedup must be/);
});

test('the command prints the option to paste, and says what is missing', async () => {
  const model = ['-m', 'test/fixtures/sd15-tiny', '--steps', '9', '--scheduler', 'DDIM'];
  const prompts = ['-p', 'a red house', '-p', 'a dog'];
  const run = (...args: string[]) => runCli(['tune', ...model, ...args]);
  const { code, out, err } = await run(...prompts, '--min-psnr', '10', '--branches', '0', '--max-runs', '4');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/--cache steps=0[\d+]*,branch=0\ncache: \{ steps: \[0[\d, ]*\], branch: 0 \}\n/);
  expect((await run(...prompts)).err).toMatch(/--min-psnr or --speedup is missing/);
  expect((await run('--speedup', '2')).err).toMatch(/--prompt is missing/);
});

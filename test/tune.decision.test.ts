import { expect, test } from '@jest/globals';
import type { Tried } from '../lib/tune/budget.js';
import { Decision } from '../lib/tune/decision.js';
import { keyOf, type Schedule } from '../lib/tune/schedule.js';
import type { Search } from '../lib/tune/search.js';
import type { Trials } from '../lib/tune/trials.js';

const even: Tried = { steps: [0, 3, 6], between: 0, psnr: 30 };
const held: Tried = { steps: [0, 4, 7], between: 0, psnr: 31 };
const features: Tried = { ...held, features: 0.7, psnr: 36 };
const steady: Tried = { steps: [0, 4, 7], between: 'predict', clean: [0.1, 0, 0, 0, 0, 0], psnr: 37 };
const predicted: Tried = { ...steady, gamma: [0, 1, 1, 1, 1, 1], psnr: 38 };

/** Chooses with what schedules have on the other prompts, in decibels of two pictures. */
async function chosen(best: Tried, others: readonly (readonly [Tried, number, number])[]) {
  const known = new Map(others.map(([tried, ...decibels]) => [keyOf(tried), decibels]));
  const decibels = async (schedule: Schedule) => known.get(keyOf(schedule)) as number[];
  const trials = {
    start: async () => {},
    decibels,
    psnr: async (schedule: Schedule) => ((await decibels(schedule)) as number[]).reduce((a, b) => a + b) / 2,
  } as unknown as Trials;
  const search = {
    bestThat: (holds: (tried: Tried) => boolean) => [steady, held].find(holds),
    best: (tried: readonly Tried[]) => tried.reduce((a, b) => (a.psnr >= b.psnr ? a : b)),
  } as unknown as Search;
  const decision = new Decision(search, best, even);
  const figures = await decision.onOthers(trials);
  return { best: decision.best, figures };
}

test.each([features, predicted])(
  'what forecasts is the answer where no picture is worse: %j',
  async (best) => {
    const { best: answer, figures } = await chosen(best, [
      [even, 30, 20],
      [held, 31, 21],
      [best, 40, 20],
    ]);
    expect(answer).toBe(best);
    expect(figures).toMatchObject({ psnr: 30, evenPsnr: 25, worst: 20, evenWorst: 20 });
  },
);

test.each([features, predicted])('where a picture tips over, the best that holds is: %j', async (best) => {
  const worse: [Tried, number, number] = [best, 60, 19.9];
  const tips: [Tried, number, number] = [steady, 60, 19.9];
  expect((await chosen(best, [[even, 30, 20], [held, 33, 19], tips, worse])).best).toBe(held);
  expect((await chosen(best, [[even, 30, 20], [held, 29, 19], tips, worse])).best).toBe(even);
  // Before these, the best that goes on with no change.
  expect((await chosen(best, [[even, 30, 20], [steady, 31, 20], [held, 33, 19], worse])).best).toBe(steady);
});

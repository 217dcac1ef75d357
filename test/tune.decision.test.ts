import { expect, test } from '@jest/globals';
import type { Tried } from '../lib/tune/budget.js';
import { Decision } from '../lib/tune/decision.js';
import { keyOf, type Schedule } from '../lib/tune/schedule.js';
import type { Trials } from '../lib/tune/trials.js';
import type { Tries } from '../lib/tune/tries.js';

const even: Tried = { steps: [0, 3, 6], between: 0, psnr: 30, merit: 30 };
const held: Tried = { steps: [0, 4, 7], between: 0, psnr: 31, merit: 31 };
const features: Tried = { ...held, features: 0.7, psnr: 36, merit: 36 };
const steady: Tried = {
  steps: [0, 4, 7],
  between: 'predict',
  clean: [0.1, 0, 0, 0, 0, 0],
  psnr: 37,
  merit: 37,
};
const predicted: Tried = { ...steady, gamma: [0, 1, 1, 1, 1, 1], psnr: 38, merit: 38 };

type Known = readonly [Tried, number, number];

/** Chooses with what schedules have on the other prompts, in decibels of two pictures, and on those that were searched with. */
async function chosen(best: Tried, others: readonly Known[], before: readonly Known[] = []) {
  const known = new Map(others.map(([tried, ...decibels]) => [keyOf(tried), decibels]));
  const searchedWith = new Map(before.map(([tried, ...decibels]) => [keyOf(tried), decibels]));
  const decibels = async (schedule: Schedule) => known.get(keyOf(schedule)) as number[];
  const trials = {
    start: async () => {},
    decibels,
    psnr: async (schedule: Schedule) => ((await decibels(schedule)) as number[]).reduce((a, b) => a + b) / 2,
  } as unknown as Trials;
  const tries = {
    limit: { speedup: 2 },
    bestThat: (holds: (tried: Tried) => boolean) => [steady, held].find(holds),
    best: (tried: readonly Tried[]) => tried.reduce((a, b) => (a.merit >= b.merit ? a : b)),
  } as unknown as Tries;
  const searched = {
    decibels: async (schedule: Schedule) => searchedWith.get(keyOf(schedule)) ?? [50, 50],
  } as unknown as Trials;
  const decision = new Decision(tries, best, even, searched);
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
  const worse: Known = [best, 60, 18];
  const tips: Known = [steady, 60, 18];
  expect((await chosen(best, [[even, 30, 20], [held, 36, 19.5], tips, worse])).best).toBe(held);
  expect((await chosen(best, [[even, 30, 20], [held, 29, 19], tips, worse])).best).toBe(even);
  // Before these, the best that goes on with no change.
  expect((await chosen(best, [[even, 30, 20], [steady, 31, 20], [held, 36, 19.5], worse])).best).toBe(steady);
});

test('a picture that the even setting tips over as well, or that was searched with, counts as it should', async () => {
  const best = predicted;
  // The worst is lower, but as the even setting has that picture; or so like that nobody sees it.
  expect(
    (
      await chosen(best, [
        [even, 30, 20],
        [best, 50, 19.5],
      ])
    ).best,
  ).toBe(best);
  expect(
    (
      await chosen(best, [
        [even, 50, 45],
        [best, 66, 41],
      ])
    ).best,
  ).toBe(best);
  // Another picture than the even setting's worst.
  const others: Known[] = [
    [even, 38, 20],
    [best, 19.5, 60],
    [steady, 38, 22],
  ];
  expect((await chosen(best, others)).best).toBe(steady);
  // On the prompts that were searched with.
  const fine: Known[] = [
    [even, 30, 20],
    [best, 60, 30],
    [steady, 50, 25],
  ];
  expect((await chosen(best, fine, [[best, 60, 30]])).best).toBe(steady);
  // Fewer decibels than the even setting in the mean, whatever the least like pictures gain.
  expect(
    (
      await chosen(best, [
        [even, 40, 20],
        [{ ...best }, 30, 29],
        [steady, 41, 25],
      ])
    ).best,
  ).toBe(steady);
});

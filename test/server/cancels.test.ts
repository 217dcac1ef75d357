import { expect, test } from '@jest/globals';
import { randomCancels } from './cancels.js';

test('cancelling a job at any moment touches no other one, and frees its place', async () => {
  const { waiting, running, late, finished, wrong, stepsAfter, left } = await randomCancels(60, 5);
  expect(wrong).toEqual([]);
  expect(waiting + running + late + finished).toBe(60);
  // Some end before they are cancelled.
  expect(finished).toBeGreaterThanOrEqual(30);
  expect(running).toBeGreaterThan(5);
  // The call that was under way, and one whose report was.
  expect(stepsAfter).toBeLessThanOrEqual(2);
  expect(left).toBe(0);
});

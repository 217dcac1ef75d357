import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, jest, test } from '@jest/globals';
import { inSlices, pause, type Sliced } from '../lib/slices.js';

// A turn that a test's clock has begun must not go on by the clock of the next one, which may be behind it.
afterEach(async () => {
  jest.restoreAllMocks();
  await turn();
});

/** A clock that work moves on. Of whole milliseconds, so that halves and quarters of them add up without rounding. */
function clock() {
  let now = Math.ceil(performance.now());
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  return (milliseconds: number) => {
    now += milliseconds;
  };
}

/** Turns of the event loop from now on. */
function turns() {
  let count = 0;
  let immediate = setImmediate(function again() {
    count++;
    immediate = setImmediate(again);
  });
  return { count: () => count, end: () => clearImmediate(immediate) };
}

test('works that follow one another share a turn of the event loop', async () => {
  const advance = clock();
  function* work(): Sliced<void> {
    for (let step = 0; step < 2; step++) {
      advance(0.1);
      yield;
    }
  }
  const { count, end } = turns();
  // Of 0.2 ms each: none has a pause of its own.
  for (let i = 0; i < 30; i++) await inSlices(work());
  end();
  expect(count()).toBeGreaterThanOrEqual(8);
  expect(count()).toBeLessThanOrEqual(12);
});

test('between works there are pauses too', async () => {
  const advance = clock();
  const { count, end } = turns();
  for (let i = 0; i < 20; i++) {
    advance(0.25);
    await pause();
  }
  end();
  expect(count()).toBeGreaterThanOrEqual(5);
});

test('an abort ends works at their pauses', async () => {
  const advance = clock();
  const controller = new AbortController();
  let steps = 0;
  function* endless(): Sliced<never> {
    while (true) {
      advance(1);
      if (++steps === 5) controller.abort(new Error('enough'));
      yield;
    }
  }
  await expect(inSlices(endless(), controller.signal)).rejects.toThrow('enough');
  expect(steps).toBeLessThan(8);
  const pauses = async () => {
    while (true) {
      advance(1);
      await pause(controller.signal);
    }
  };
  await expect(pauses()).rejects.toThrow('enough');
});

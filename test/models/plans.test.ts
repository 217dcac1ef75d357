import { expect, test } from '@jest/globals';
import { DeepCacheError } from '../../lib/errors.js';
import { Plans } from '../../lib/models/plans.js';

/** Sizes that were planned, and the jobs that were cancelled. */
function recorded() {
  const [started, cancelled]: [number[], number[]] = [[], []];
  const plans = new Plans(({ width }: { width: number }) => {
    started.push(width);
    return { promise: Promise.resolve(2 * width), cancel: () => cancelled.push(width) };
  });
  return { plans, started, cancelled };
}

test('a size is planned once, until sixteen others were', async () => {
  const { plans, started } = recorded();
  for (const width of [1, 2, 1, 2]) expect(await plans.of({ width })).toBe(2 * width);
  expect(started).toEqual([1, 2]);
  for (let width = 3; width <= 17; width++) await plans.of({ width });
  await plans.of({ width: 2 });
  expect(started).toHaveLength(17);
  await plans.of({ width: 1 });
  expect(started.slice(17)).toEqual([1]);
});

test('an abort cancels the job, and begins none', async () => {
  const reason = new Error('enough');
  const stop = new AbortController();
  const failure = new DeepCacheError('ERR_DEEPCACHE_ABORTED', 'aborted');
  const plans = new Plans(() => {
    let fail = (_: Error) => {};
    const promise = new Promise<number>((_, reject) => {
      fail = reject;
    });
    return { promise, cancel: () => fail(failure) };
  });
  const waiting = plans.of({}, stop.signal);
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);

  const { plans: others, started } = recorded();
  await expect(others.of({ width: 1 }, stop.signal)).rejects.toBe(reason);
  expect(started).toEqual([]);
});

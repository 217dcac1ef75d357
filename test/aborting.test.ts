import { expect, test } from '@jest/globals';
import { allInOrder, untilAborted } from '../lib/aborting.js';

test('of several failures the first of the list is thrown, whichever came first', async () => {
  const late = new Promise((_, reject) => setImmediate(() => reject(new Error('late'))));
  await expect(allInOrder([1, late, Promise.reject(new Error('early'))])).rejects.toThrow('late');
  expect(await allInOrder([Promise.resolve(1), 'two'])).toEqual([1, 'two']);
});

test('a signal ends the wait for what never ends', async () => {
  const stop = new AbortController();
  const waiting = untilAborted(new Promise(() => {}), stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(untilAborted(new Promise(() => {}), stop.signal)).rejects.toThrow('enough');
});

test('what ends first counts, and failures are heard', async () => {
  const { signal } = new AbortController();
  expect(await untilAborted(Promise.resolve(1), signal)).toBe(1);
  await expect(untilAborted(Promise.reject(new Error('own')), signal)).rejects.toThrow('own');
  expect(await untilAborted(Promise.resolve(1), undefined)).toBe(1);
});

import { expect, test } from '@jest/globals';
import { untilAborted } from '../lib/aborting.js';

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

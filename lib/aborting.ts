/**
 * The promise, or a rejection with the signal's reason as soon as it aborts. What the promise stands for goes on by
 * itself; its result is dropped then.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    const settle = () => signal.removeEventListener('abort', abort);
    promise.then(resolve, reject).finally(settle);
  });
}

/**
 * The results of work that was begun side by side. Of several failures the first one of the list is thrown, whichever
 * came first, so that the same input gives the same error every time.
 */
export async function allInOrder<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  // All are settled: these end in the order of the list.
  const results: unknown[] = [];
  for (const each of work) results.push(await each);
  return results as { -readonly [K in keyof T]: Awaited<T[K]> };
}

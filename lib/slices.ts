import { setImmediate as yieldToLoop } from 'node:timers/promises';

/** Work that pauses between its parts, each of them a fraction of a millisecond or so. */
export type Sliced<T> = Generator<void, T, void>;

/** Milliseconds at a stretch: what else waits for the event loop should hardly notice. */
const SLICE = 0.5;

/** Values of a part: a simple loop over them takes a tenth of a millisecond. */
export const PART = 2 ** 15;

/** Does the work in one go. */
export function inOneGo<T>(work: Sliced<T>): T {
  while (true) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Does the work with the event loop getting its turn every half a millisecond. An abort of the signal ends it. */
export async function inSlices<T>(work: Sliced<T>, signal?: AbortSignal): Promise<T> {
  let until = performance.now() + SLICE;
  while (true) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() < until) continue;
    await yieldToLoop();
    signal?.throwIfAborted();
    until = performance.now() + SLICE;
  }
}

/** Calls `work` for all numbers below `length`. */
export function* forEachIndex(length: number, work: (i: number) => void): Sliced<void> {
  for (let start = 0; start < length; start += PART) {
    const end = Math.min(length, start + PART);
    for (let i = start; i < end; i++) work(i);
    yield;
  }
}

/** A new array of what `change` makes of each value. */
export function* mapParts(
  values: Float32Array,
  change: (value: number, i: number) => number,
): Sliced<Float32Array> {
  const out = new Float32Array(values.length);
  yield* forEachIndex(values.length, (i) => {
    out[i] = change(values[i] as number, i);
  });
  return out;
}

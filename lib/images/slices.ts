import { setImmediate as yieldToLoop } from 'node:timers/promises';

/** Work that pauses between its parts, each of them a fraction of a millisecond or so. */
export type Sliced<T> = Generator<void, T, void>;

/** Milliseconds at a stretch. */
const SLICE = 4;

/** Does the work in one go. */
export function inOneGo<T>(work: Sliced<T>): T {
  while (true) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Does the work with the event loop getting its turn every few milliseconds. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  let until = performance.now() + SLICE;
  while (true) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() < until) continue;
    await yieldToLoop();
    until = performance.now() + SLICE;
  }
}

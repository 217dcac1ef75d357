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

/** When the turn ends that works have had since the event loop last had its own; undefined before the first of them. */
let end: number | undefined;

/** Whether what runs now, whatever it began with, has kept the event loop long enough. */
function isTurnOver(): boolean {
  const now = performance.now();
  if (end === undefined) {
    end = now + SLICE;
    setImmediate(() => {
      end = undefined;
    });
  }
  return now >= end;
}

/** Lets the event loop have its turn if it has not had one for half a millisecond. An abort of the signal ends it. */
export async function pause(signal?: AbortSignal): Promise<void> {
  if (!isTurnOver()) return;
  await yieldToLoop();
  signal?.throwIfAborted();
}

/** Does the work with the event loop getting its turn every half a millisecond. An abort of the signal ends it. */
export async function inSlices<T>(work: Sliced<T>, signal?: AbortSignal): Promise<T> {
  while (true) {
    const { done, value } = work.next();
    if (done) return value;
    if (isTurnOver()) await pause(signal);
  }
}

/** Calls `work` for all numbers below `length`, of which `part` take a tenth of a millisecond. */
export function* forEachIndex(length: number, work: (i: number) => void, part = PART): Sliced<void> {
  for (let start = 0; start < length; start += part) {
    const end = Math.min(length, start + part);
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

import { inSlices, PART, type Sliced } from '../slices.js';
import { native } from './binding.js';
import { startInRun } from './run-memory.js';
import type { Floats, NativeFloats } from './types.js';

/** Values for a native request, which copies them when it starts: many are copied here before, in parts. */
export async function staged(values: Floats, signal?: AbortSignal): Promise<Floats> {
  if ('append' in values || values.length <= PART) return values;
  const out = startInRun(() => new (native().Floats)(values.length));
  await inSlices(append(values, out), signal);
  return out;
}

/** The same for all large arrays of a request. */
export async function stagedRequest<T extends object>(request: T, signal?: AbortSignal): Promise<T> {
  const out: { [name: string]: unknown } = Object.fromEntries(Object.entries(request));
  for (const [name, value] of Object.entries(out)) {
    // Not instanceof: arrays may come from another realm (vm contexts, worker messages).
    if (Object.prototype.toString.call(value) !== '[object Float32Array]') continue;
    out[name] = await staged(value as Float32Array, signal);
  }
  return out as T;
}

function* append(values: Float32Array, out: NativeFloats): Sliced<void> {
  for (let start = 0; start < values.length; start += PART) {
    out.append(values.subarray(start, start + PART));
    yield;
  }
}

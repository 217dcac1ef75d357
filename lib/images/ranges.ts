import { PART, type Sliced } from '../slices.js';

/** Bytes of a file from `start` up to `end`. */
export type Range = readonly [start: number, end: number];

/** A file without some of its parts: itself where there are none. */
export function* without(file: Buffer, dropped: readonly Range[]): Sliced<Buffer> {
  if (dropped.length === 0) return file;
  const parts: Buffer[] = [];
  let from = 0;
  for (const [start, end] of [...dropped].sort(([a], [b]) => a - b)) {
    if (start > from) parts.push(file.subarray(from, start));
    from = end;
  }
  parts.push(file.subarray(from));
  return yield* join(parts);
}

/** One buffer of several. */
export function* join(parts: readonly Uint8Array[]): Sliced<Buffer> {
  const out = Buffer.allocUnsafe(parts.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const part of parts) {
    for (let from = 0; from < part.length; from += 4 * PART) {
      out.set(part.subarray(from, from + 4 * PART), to + from);
      yield;
    }
    to += part.length;
  }
  return out;
}

import { createHash } from 'node:crypto';
import { inSlices, type Sliced } from '../slices.js';
import type { Image } from './image.js';

/** Tells pictures apart: the first 12 digits of the SHA-256 of their pixels. */
export async function hashOf({ data, width }: Image, signal?: AbortSignal): Promise<string> {
  return inSlices(hashing(data, width), signal);
}

function* hashing(data: Uint8Array, width: number): Sliced<string> {
  const hash = createHash('sha256').update(`${width} `);
  const part = 2 ** 16;
  for (let at = 0; at < data.length; at += part) {
    hash.update(data.subarray(at, at + part));
    yield;
  }
  return hash.digest('hex').slice(0, 12);
}

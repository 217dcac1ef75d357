import { createHash } from 'node:crypto';
import { cpus, loadavg, platform, release } from 'node:os';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../lib/native/binding.js';

// What the benchmarks of the TypeScript side have in common.

/** The model that they use when none is named. */
export const TINY_MODEL = 'test/fixtures/sd15-tiny';

/** Where a figure was measured: without it, and without what else ran there, it means nothing. */
export function machine() {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    system: `${platform()} ${release()}`,
    node: process.version,
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
  };
}

let collect: (() => void) | undefined;

/** Collects garbage, so that what is measured afterwards is held by something. */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}

/**
 * Private resident memory of the process in bytes, without garbage, nor the pages that V8's heap keeps for what comes: those
 * of its young generation alone come and go by 30 MiB.
 */
export async function memoryInUse(): Promise<number> {
  // Finalizers of native objects run between two turns of the event loop.
  for (let i = 0; i < 2; i++) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { total_physical_size: pages, used_heap_size: used } = getHeapStatistics();
  return native().residentMemory() - (pages - used);
}

/** Random numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Equal for equal bits only. */
export function fingerprint({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

export const mebibytes = (bytes: number) => Number((bytes / 2 ** 20).toFixed(1));

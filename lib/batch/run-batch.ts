import { DeepCacheError, messageOf } from '../errors.js';
import { jsonSeeds } from '../pipelines/inputs/seeds.js';
import type { GenerateResult } from '../pipelines/outputs/result.js';
import type { Job, JobRequest } from '../server/engine/job.js';
import type { Line } from './lines.js';
import type { BatchEntry, BatchRecord } from './record.js';
import { type BatchRequest, requestOf } from './request.js';

/** What makes the pictures: an ImageEngine. */
export interface BatchEngine {
  submit(request: JobRequest): Promise<Job>;
}

export interface BatchOptions {
  readonly model: string;
  /** Options of all lines, which each may say otherwise. */
  readonly usual: Readonly<Record<string, unknown>>;
  /** Jobs that are under way at once: as many results are in memory. */
  readonly most: number;
  readonly record: BatchRecord;
  /** Writes the pictures of a job, and says what the files are called. */
  save(result: GenerateResult, name: string): Promise<string[]>;
  /** Told of each line when it is over; undefined: it had been made before. */
  onEntry(line: Line, entry: BatchEntry | undefined): void;
  readonly signal: AbortSignal;
}

/**
 * Makes what the lines ask for, many at once. What is wrong with a line is its own affair.
 *
 * @throws the signal's reason; ERR_DEEPCACHE_OUTPUT where nothing can be written; ERR_DEEPCACHE_INVALID_ARGUMENT for a
 * line that asks for something else than what was made for it before.
 */
export async function runBatch(
  lines: AsyncIterable<Line>,
  engine: BatchEngine,
  { model, usual, most, record, save, onEntry, signal }: BatchOptions,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const jobs = new Set<Job>();
  let failure: { error: unknown } | undefined;

  const make = async (line: Line): Promise<void> => {
    const start = performance.now();
    let asked: BatchRequest | undefined;
    let entry: BatchEntry;
    try {
      asked = requestOf(line, model, usual);
      const made = record.keyOf(line.number);
      if (made === asked.key) return onEntry(line, undefined);
      if (made !== undefined) throw new OtherRequest(line.number);
      const job = await engine.submit(asked.request);
      jobs.add(job);
      const result = await job.result.finally(() => jobs.delete(job));
      const files = await save(result, asked.name);
      const seconds = Number(((performance.now() - start) / 1000).toFixed(3));
      const seeds = [jsonSeeds(result.seeds)].flat() as (number | string)[];
      entry = { line: line.number, key: asked.key, state: 'done', files, seeds, seconds };
    } catch (error) {
      if (signal.aborted || isForAll(error)) throw error;
      entry = { line: line.number, key: asked?.key ?? '', state: 'failed', error: messageOf(error) };
    }
    await record.add(entry);
    onEntry(line, entry);
  };

  const stop = () => {
    for (const job of jobs) job.cancel();
  };
  signal.addEventListener('abort', stop);
  try {
    for await (const line of lines) {
      if (failure || signal.aborted) break;
      const work = make(line)
        .catch((error) => {
          failure ??= { error };
          stop();
        })
        .finally(() => running.delete(work));
      running.add(work);
      while (running.size >= most) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
    signal.removeEventListener('abort', stop);
  }
  signal.throwIfAborted();
  if (failure) throw failure.error;
}

class OtherRequest extends DeepCacheError {
  constructor(line: number) {
    super(
      'ERR_DEEPCACHE_INVALID_ARGUMENT',
      `jobs: line ${line} asks for something else than what the folder has for it; give another folder, or --force`,
    );
  }
}

/** What no other line would do better with. */
function isForAll(error: unknown): boolean {
  if (error instanceof OtherRequest) return true;
  return (
    error instanceof DeepCacheError && ['ERR_DEEPCACHE_OUTPUT', 'ERR_DEEPCACHE_DISPOSED'].includes(error.code)
  );
}

import { DeepCacheError } from '../../../errors.js';
import { jsonSeeds } from '../../../pipelines/inputs/seeds.js';
import { toRequestError } from '../errors.js';
import { MEDIA_TYPES } from '../pictures.js';
import type { JobRecord } from './desk.js';
import type { JobStatus } from './schema.js';

export const FORMATS = Object.keys(MEDIA_TYPES) as (keyof typeof MEDIA_TYPES)[];

/** What a caller may know of a job. */
export function statusOf(record: JobRecord, base: string): JobStatus {
  const { id, state, request, position, secondsLeft, progress, result, error } = record;
  return {
    id,
    state,
    model: request.model,
    task: request.task,
    ...(state === 'queued' && { position }),
    ...(secondsLeft !== undefined && { secondsLeft }),
    ...(progress && { progress }),
    created: time(record.created),
    ...(record.started !== undefined && { started: time(record.started) }),
    ...(record.ended !== undefined && { ended: time(record.ended) }),
    ...(result && {
      images: result.pictures.map(({ width, height }, i) => ({
        url: addressOf(record, i, base),
        width,
        height,
      })),
      seeds: jsonSeeds(result.seeds) as (number | string)[],
      settings: [...result.settings],
      notes: [...result.notes],
      seconds: result.times.total ?? 0,
      speedup: result.speedup,
    }),
    ...(error && state !== 'cancelled' && { error: failureOf(error) }),
  };
}

/** Where a picture's bytes are; whoever has the address may fetch them. */
export function addressOf({ token }: JobRecord, index: number, base: string, format = 'png'): string {
  return `${base}/files/${token}/${index}.${format}`;
}

/** The code of what went wrong, and no more than the caller should read. */
export function failureOf(error: Error): { code: string; message: string } {
  const { message } = toRequestError(error);
  return { code: error instanceof DeepCacheError ? error.code : 'ERR_DEEPCACHE_INTERNAL', message };
}

const time = (milliseconds: number) => new Date(milliseconds).toISOString();

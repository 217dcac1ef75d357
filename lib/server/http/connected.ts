import type { FastifyReply } from 'fastify';
import type { ImageResult } from '../../pipelines/outputs/result.js';
import { type Context, namesOf } from './context.js';
import { gone } from './event-stream.js';
import type { JobRecord } from './jobs/record.js';
import { toRequest, type Wanted } from './jobs/request.js';
import type { Caller } from './keys.js';

/**
 * Hands in a job whose caller stays on the line for it: when the connection ends before the job does, it is cancelled.
 *
 * @throws what is wrong with it, and that the queue is full.
 */
export async function submitConnected(
  context: Context,
  caller: Caller,
  wanted: Wanted,
  reply: FastifyReply,
): Promise<JobRecord> {
  const stop = gone(reply);
  const ready = await toRequest(wanted, caller.limits, namesOf(context, wanted.model), stop);
  // The connection is what holds it, so it needs no other sign of life.
  const { record } = await context.records.submit({ caller, ...ready, detach: true });
  const cancel = () => record.cancel();
  if (stop.aborted) cancel();
  else stop.addEventListener('abort', cancel, { once: true });
  return record;
}

/** What a job makes; throws what it failed of. */
export async function resultOf(record: JobRecord): Promise<ImageResult> {
  await record.over;
  if (record.result) return record.result;
  throw record.error ?? new Error('the job has no result');
}

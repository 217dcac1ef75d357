import type { FastifyReply } from 'fastify';
import { type Context, namesOf } from './context.js';
import { gone } from './event-stream.js';
import type { JobRecord, Made } from './jobs/desk.js';
import { toRequest, type Wanted } from './jobs/request.js';
import type { Caller } from './keys.js';
import { traceOf } from './trace.js';

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
  isNewest = false,
): Promise<JobRecord> {
  const stop = gone(reply);
  const ready = await toRequest(wanted, caller.limits, namesOf(context, wanted.model), stop);
  const request = { ...ready.request, ...traceOf(reply.request) };
  const { record } = await context.records.submit({ caller, ...ready, request, isNewest });
  // The connection is what holds it, so it needs no other sign of life.
  const release = record.attach(true);
  void record.over.then(release);
  const cancel = () => void record.cancel().catch(() => {});
  if (stop.aborted) cancel();
  else stop.addEventListener('abort', cancel, { once: true });
  return record;
}

/** What a job makes; throws what it failed of. */
export async function resultOf(record: JobRecord): Promise<Made> {
  await record.over;
  if (record.result) return record.result;
  throw record.error ?? new Error('the job has no result');
}

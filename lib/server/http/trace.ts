import type { FastifyRequest } from 'fastify';
import type { JobRequest } from '../engine/job.js';

/** As W3C's Trace Context has it. */
const PARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(-.{0,100})?$/;
const LONGEST_STATE = 512;

/** The trace that a request is a part of. */
export const traceOf = ({ headers }: FastifyRequest): Pick<JobRequest, 'trace'> => traceIn(headers);

/** The trace that fields of these names tell of; what is none is let pass, as the standard has it. */
export function traceIn(fields: Readonly<Record<string, unknown>>): Pick<JobRequest, 'trace'> {
  const { traceparent, tracestate } = fields;
  if (typeof traceparent !== 'string' || !PARENT.test(traceparent)) return {};
  const hasState = typeof tracestate === 'string' && tracestate.length <= LONGEST_STATE;
  return { trace: { traceparent, ...(hasState && { tracestate }) } };
}

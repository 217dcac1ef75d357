import type { FastifyRequest } from 'fastify';
import type { Engine } from './engine.js';
import { RequestError } from './errors.js';
import type { JobRecords } from './jobs/records.js';
import type { Caller } from './keys.js';
import type { NetworkNames } from './network-names.js';
import type { Webhooks } from './webhooks.js';

/** What all routes share. */
export interface Context {
  readonly engine: Engine;
  readonly records: JobRecords;
  readonly webhooks: Webhooks;
  /** Who makes a request. */
  callerOf(request: FastifyRequest): Caller;
  /** The server's own address, as the caller sees it. */
  baseOf(request: FastifyRequest): string;
}

/**
 * The model of a request: a name that the server was given, and nothing else.
 *
 * @throws RequestError 404
 */
export function modelOf({ engine }: Context, name: string | undefined): string {
  const names = engine.models().map((model) => model.name);
  const found = name === undefined ? names[0] : names.find((known) => known === name);
  if (found !== undefined) return found;
  throw new RequestError(
    404,
    'model_not_found',
    `there is no such model here; there are ${names.join(', ')}`,
  );
}

/** What requests for a model may name besides it. */
export function namesOf({ engine }: Context, model: string): NetworkNames {
  return engine.models().find(({ name }) => name === model) ?? {};
}

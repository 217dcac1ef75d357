import type { FastifyRequest } from 'fastify';
import type { Engine, SharedQueue } from './engine.js';
import { RequestError } from './errors.js';
import type { JobDesk } from './jobs/desk.js';
import type { Caller } from './keys.js';
import type { NetworkNames } from './network-names.js';
import type { Webhooks } from './webhooks.js';

/** What all routes share. */
export interface Context {
  readonly engine: Engine | SharedQueue;
  readonly records: JobDesk;
  readonly webhooks: Webhooks;
  /** Who makes a request. */
  callerOf(request: FastifyRequest): Caller;
  /** The server's own address, as the caller sees it. */
  baseOf(request: FastifyRequest): string;
}

/**
 * The model of a request: a name that the server was given, and nothing else.
 *
 * @throws RequestError 404, and 503 for a model that is not there now.
 */
export function modelOf({ engine }: Context, name: string | undefined): string {
  const names = engine.models().map((model) => model.name);
  const found = name === undefined ? names[0] : names.find((known) => known === name);
  if (found !== undefined) return found;
  const absence = 'absence' in engine ? engine.absence(name) : undefined;
  if (absence) throw absence;
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

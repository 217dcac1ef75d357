import type { FastifySchemaValidationError } from 'fastify/types/schema.js';
import { unknownName } from '../../names.js';
import { RequestError } from './errors.js';
import { JobBody } from './jobs/schema.js';

/**
 * What is wrong with a request, in the words of who wrote it: "steps must be integer".
 *
 * @param part of the request: body, params, querystring.
 */
export function schemaMessage(errors: FastifySchemaValidationError[], part: string): Error {
  // Of alternatives the first error is of the first one.
  const [error] = errors;
  const path = (error?.instancePath ?? '').replace(/^\//, '').replaceAll('/', '.');
  const { additionalProperty } = (error?.params ?? {}) as { additionalProperty?: string };
  if (additionalProperty !== undefined) {
    const name = `${path && `${path}.`}${additionalProperty}`.slice(0, 100);
    const known =
      path === ''
        ? `; ${unknownName(additionalProperty.slice(0, 100), Object.keys(JobBody.properties))}`
        : '';
    return new RequestError(400, 'ERR_DEEPCACHE_INVALID_ARGUMENT', `${name} is not an option${known}`);
  }
  return new RequestError(
    400,
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
    `${path || `the ${part}`} ${error?.message ?? 'is not what it should be'}`,
  );
}

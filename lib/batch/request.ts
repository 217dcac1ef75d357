import { createHash } from 'node:crypto';
import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { type JobRequest, taskOf } from '../server/engine/job.js';
import type { Line } from './lines.js';

/** What a line asks for. */
export interface BatchRequest {
  readonly line: number;
  readonly request: JobRequest;
  /** Of its pictures, without number and ending. */
  readonly name: string;
  readonly key: string;
}

/**
 * A line as a job: a JSON object with options of `generate`, or nothing but a prompt.
 *
 * @param usual options that the line may say otherwise.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT; what is wrong with the options is said by the engine.
 */
export function requestOf(line: Line, model: string, usual: Readonly<Record<string, unknown>>): BatchRequest {
  const { name, mask, ...own } = valuesOf(line);
  if (
    name !== undefined &&
    (typeof name !== 'string' || !/^[\p{L}\p{N}_ -][\p{L}\p{N}_. -]{0,99}$/u.test(name))
  )
    throw invalidArgument('name', `must be a file's name without folder and ending, got ${show(name)}`);
  const options = { ...usual, ...own, ...(mask !== undefined && { maskImage: mask }) };
  const number = `${line.number}`.padStart(6, '0');
  return {
    line: line.number,
    request: { model, task: taskOf(options), options },
    name: name === undefined ? number : `${number}-${name}`,
    key: keyOf({ model, options }),
  };
}

function valuesOf({ text }: Line): Record<string, unknown> {
  if (!text.startsWith('{')) return { prompt: text };
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw invalidArgument('jobs', `is no JSON object: ${(error as Error).message}`);
  }
}

function keyOf(value: object): string {
  const text = JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `${one}` : one));
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

import { DeepCacheError } from '../../errors.js';
import type { JobRequest } from '../engine/job.js';
import { TASKS } from '../engine/job.js';
import type { JobNetworks } from '../engine/networks.js';
import { OFFERED, PICTURES } from '../http/jobs/run-fields.js';
import { checkUpscalers, type NetworkNames } from '../http/network-names.js';
import { traceIn } from '../http/trace.js';

// A request on its way through Redis: a text of JSON, and its pictures beside it as they are.

/** A request as it is kept. */
export interface Packed {
  readonly text: string;
  readonly parts: readonly Uint8Array[];
}

type Fields = Record<string, unknown>;

const isPlain = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isBytes = (value: unknown): value is Uint8Array =>
  Object.prototype.toString.call(value) === '[object Uint8Array]' || Buffer.isBuffer(value);

/** Bytes and whole numbers of 64 bits are objects of one field that begins with `$`; an object of the caller's that has one is wrapped. */
export function pack(options: JobRequest['options']): Packed {
  const parts: Uint8Array[] = [];
  const walk = (value: unknown): unknown => {
    if (typeof value === 'bigint') return { $whole: String(value) };
    if (isBytes(value)) return { $bytes: parts.push(value) - 1 };
    if (Array.isArray(value)) return value.map(walk);
    if (!isPlain(value)) return value;
    const fields = Object.entries(value).map(([name, one]) => [name, walk(one)] as const);
    const plain = Object.fromEntries(fields);
    return fields.some(([name]) => name.startsWith('$')) ? { $object: fields } : plain;
  };
  return { text: JSON.stringify(walk(options)), parts };
}

function unpack({ text, parts }: Packed): unknown {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (!isPlain(value)) return value;
    const { $whole, $bytes, $object } = value;
    if (typeof $whole === 'string' && /^-?\d{1,20}$/.test($whole)) return BigInt($whole);
    if (typeof $bytes === 'number') return parts[$bytes] ?? bad();
    const fields = Array.isArray($object) ? ($object as [string, unknown][]) : Object.entries(value);
    return Object.fromEntries(fields.map(([name, one]) => [name, walk(one)]));
  };
  return walk(JSON.parse(text));
}

/**
 * The options of a run that Redis holds, as far as a request may have them: whatever stands there, no text is taken for a file.
 *
 * @param names of networks that requests may name.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT
 */
export function unpackOptions(packed: Packed, names: NetworkNames = {}): JobRequest['options'] {
  let options: unknown;
  try {
    options = unpack(packed);
  } catch {
    return bad();
  }
  if (!isPlain(options)) return bad();
  const offered = new Set<string>(OFFERED.map(([name]) => name));
  for (const [name, value] of Object.entries(options)) {
    if (!offered.has(name)) bad();
    if (PICTURES.has(name) && hasText(value)) bad();
  }
  checkUpscalers(options, names);
  return options;
}

/** Whether there is a text in it, which the library would take for a file's name. */
function hasText(value: unknown): boolean {
  if (typeof value === 'string') return true;
  if (isBytes(value) || !isPlain(value)) return Array.isArray(value) && value.some(hasText);
  return Object.values(value).some(hasText);
}

/** What goes with the options. */
export function aboutOf(request: Omit<JobRequest, 'options'>): string {
  const { task, networks, priority, deadline, client, previewEvery, trace } = request;
  const till = deadline && Number(deadline);
  return JSON.stringify({ task, networks, priority, deadline: till, client, previewEvery, trace });
}

/** The same from Redis. */
export function readAbout(text: string): Omit<JobRequest, 'options' | 'model'> {
  const value: unknown = JSON.parse(text);
  if (!isPlain(value)) return bad();
  const { task, networks, priority, deadline, client, previewEvery, trace } = value;
  const isTask = TASKS.find((one) => one === task);
  if (!isTask) return bad();
  const number = (name: string, given: unknown) => (Number.isFinite(given) ? { [name]: given } : {});
  return {
    task: isTask,
    ...number('priority', priority),
    ...number('deadline', deadline),
    ...number('previewEvery', previewEvery),
    ...(typeof client === 'string' && { client }),
    ...(isPlain(trace) && traceIn(trace)),
    // Names, which the engine looks up among those that it was given.
    ...(isPlain(networks) && { networks: networks as JobNetworks }),
  };
}

function bad(): never {
  throw new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', 'the request in the queue is none of ours');
}

import { invalidArgument } from '../../errors.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { type JobRequest, TASKS } from './job.js';

/** Options of `generate` that the engine gives itself, and what is there instead. */
const OWN: Readonly<Record<string, string>> = {
  signal: "the job's cancel()",
  onStep: "the job's events",
  previewEvery: 'previewEvery of the request',
  latentsEvery: 'no such option',
};

const FIELDS = [
  'model',
  'task',
  'options',
  'networks',
  'priority',
  'deadline',
  'client',
  'previewEvery',
  'trace',
];

/** Throws ERR_DEEPCACHE_INVALID_ARGUMENT for a request of the wrong form; its options are checked by the pipeline. */
export function checkRequest(request: JobRequest): void {
  if (typeof request !== 'object' || request === null)
    throw invalidArgument('request', `must be an object, got ${show(request)}`);
  checkNames(request, FIELDS);
  const { model, task, options, priority, client } = request;
  if (typeof model !== 'string') throw invalidArgument('model', `must be a name, got ${show(model)}`);
  if (!TASKS.includes(task))
    throw invalidArgument('task', `must be one of ${TASKS.join(', ')}, got ${show(task)}`);
  if (typeof options !== 'object' || options === null)
    throw invalidArgument('options', `must be an object, got ${show(options)}`);
  for (const [name, instead] of Object.entries(OWN)) {
    if (options[name] !== undefined)
      throw invalidArgument(name, `is not an option of a job; there is ${instead}`);
  }
  if (priority !== undefined && !Number.isFinite(priority))
    throw invalidArgument('priority', `must be a number, got ${show(priority)}`);
  if (client !== undefined && typeof client !== 'string')
    throw invalidArgument('client', `must be a text, got ${show(client)}`);
  deadlineOf(request);
}

/** Milliseconds since 1970. */
export function deadlineOf({ deadline }: JobRequest): number | undefined {
  if (deadline === undefined) return undefined;
  const time = deadline instanceof Date ? deadline.getTime() : deadline;
  if (typeof time === 'number' && Number.isFinite(time)) return time;
  throw invalidArgument('deadline', `must be a date or milliseconds since 1970, got ${show(deadline)}`);
}

import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { show } from '../../../messages.js';
import type { JobNetworks } from '../../engine/networks.js';
import { type Context, modelOf, namesOf } from '../context.js';
import { RequestError } from '../errors.js';
import { gone, type SentEvent, sendEvents } from '../event-stream.js';
import type { Limits } from '../limits.js';
import { MEDIA_TYPES, toBase64 } from '../pictures.js';
import { previewImage } from '../previews.js';
import { traceOf } from '../trace.js';
import type { JobRecord, Preview, ServedEvent } from './desk.js';
import { acceptJobForms, digestOf, filesOf } from './form.js';
import { toRequest } from './request.js';
import { checkValues } from './run-fields.js';
import { Failure, JobBody, JobStatus } from './schema.js';
import { FORMATS, failureOf, statusOf } from './status.js';

const Id = Type.Object({ id: Type.String({ maxLength: 100 }) });
const File = Type.Object({
  token: Type.String({ maxLength: 100 }),
  name: Type.String({ maxLength: 20 }),
});
type Of<Params> = FastifyRequest<{ Params: Params }>;

const responses = { 200: JobStatus, '4xx': Failure, '5xx': Failure };
const tags = ['jobs'];

/** The server's own API: jobs that are handed in, followed, fetched and cancelled. */
export async function jobRoutes(app: FastifyInstance, context: Context, limits: Limits): Promise<void> {
  const { records, callerOf, baseOf } = context;
  const readForm = await acceptJobForms(app, limits);
  const find = (request: Of<Static<typeof Id>>) => records.find(request.params.id, callerOf(request));
  const status = (record: JobRecord, request: FastifyRequest) => statusOf(record, baseOf(request));

  app.post(
    '/api/jobs',
    {
      schema: {
        tags,
        summary: 'Hands in a job. With Accept: text/event-stream the answer is the stream of its events.',
        body: JobBody,
        response: { 201: JobStatus, ...responses },
      },
      async preValidation(request) {
        await readForm(request);
        if (typeof request.body === 'object' && request.body !== null)
          checkValues(request.body as Record<string, unknown>);
      },
    },
    async (request, reply) => {
      const { record, isRepeat } = await handIn(context, request as FastifyRequest<{ Body: JobBody }>, reply);
      if (/\btext\/event-stream\b/.test(request.headers.accept ?? ''))
        return follow(record, 0, request, reply);
      reply.code(isRepeat ? 200 : 201).header('location', `/api/jobs/${record.id}`);
      return status(record, request);
    },
  );

  app.get(
    '/api/jobs',
    {
      schema: {
        tags,
        summary: "The caller's jobs, the newest last.",
        response: { 200: Type.Object({ jobs: Type.Array(JobStatus) }) },
      },
    },
    async (request) => ({
      jobs: (await records.of(callerOf(request))).map((record) => status(record, request)),
    }),
  );

  app.get(
    '/api/jobs/:id',
    { schema: { tags, summary: 'Where a job is.', params: Id, response: responses } },
    async (request) => {
      const record = await find(request as Of<Static<typeof Id>>);
      record.touch();
      return status(record, request);
    },
  );

  app.delete(
    '/api/jobs/:id',
    { schema: { tags, summary: 'Cancels a job that waits or runs.', params: Id, response: responses } },
    async (request) => {
      const record = await find(request as Of<Static<typeof Id>>);
      await record.cancel();
      await record.over;
      return status(record, request);
    },
  );

  app.get(
    '/api/jobs/:id/events',
    {
      schema: {
        tags,
        summary: 'The events of a job (server-sent events), from the first, or behind Last-Event-ID.',
        params: Id,
      },
    },
    async (request, reply) => {
      const record = await find(request as Of<Static<typeof Id>>);
      const last = request.headers['last-event-id'];
      const seen = typeof last === 'string' && /^\d{1,9}$/.test(last) ? Number(last) + 1 : 0;
      return follow(record, seen, request, reply);
    },
  );

  app.get(
    '/files/:token/:name',
    {
      schema: {
        tags,
        summary: 'The bytes of a picture: its number and a format, such as 0.png.',
        params: File,
      },
      config: { isOpen: true },
    },
    async (request, reply) => {
      const { token, name } = (request as Of<Static<typeof File>>).params;
      const record = await records.findByToken(token);
      const [, index = '', ending = ''] = /^(\d{1,4})\.([a-z]{3,4})$/.exec(name) ?? [];
      const format = FORMATS.find((one) => one === (ending === 'jpg' ? 'jpeg' : ending));
      const picture = record.result?.pictures[Number(index || Number.NaN)];
      if (!picture || !format) throw new RequestError(404, 'not_found', `there is no picture ${show(name)}`);
      const bytes = await picture.file(format);
      reply.headers({
        'content-type': MEDIA_TYPES[format],
        'cache-control': 'private, max-age=3600, immutable',
        'content-disposition': 'inline',
      });
      return bytes;
    },
  );

  function follow(
    record: JobRecord,
    from: number,
    request: FastifyRequest,
    reply: FastifyReply,
  ): FastifyReply {
    const release = record.attach();
    const stop = gone(reply);
    if (stop.aborted) release();
    else stop.addEventListener('abort', release, { once: true });
    return sendEvents(
      reply,
      eventsOf(record, from, () => status(record, request)),
    );
  }
}

/** The key of a job's request: 1 to 255 visible characters. */
const IDEMPOTENCY_KEY = /^[!-~]{1,255}$/;

async function handIn(context: Context, request: FastifyRequest<{ Body: JobBody }>, reply: FastifyReply) {
  const { records, webhooks, callerOf, baseOf } = context;
  const caller = callerOf(request);
  const { model: name, priority, deadline, previewEvery, detach, webhook, ...rest } = request.body;
  const { loras, controlNets, t2iAdapters, ipAdapters, ...options } = rest;
  if (webhook !== undefined) webhooks.check(webhook);
  const key = request.headers['idempotency-key'];
  if (key !== undefined && (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)))
    throw new RequestError(400, 'bad_request', 'Idempotency-Key must be 1 to 255 visible characters');
  const model = modelOf(context, name);
  const files = filesOf(request);
  const wanted = {
    ...{ model, priority, previewEvery },
    networks: networksOf({ loras, controlNets, t2iAdapters, ipAdapters }),
    options: { ...options, ...files },
    deadline: deadline === undefined ? undefined : new Date(deadline),
  };
  const ready = await toRequest(wanted, caller.limits, namesOf(context, model), gone(reply));
  const digest = () => digestOf(request.body, files);
  return records.submit({
    ...{ caller, detach: detach || webhook !== undefined },
    ...ready,
    request: { ...ready.request, ...traceOf(request) },
    ...(key !== undefined && { idempotency: { key, digest: digest() } }),
    ...(webhook !== undefined && { hook: { address: webhook, base: baseOf(request) } }),
  });
}

/** Those that were named. */
function networksOf(given: Readonly<Record<string, unknown>>): JobNetworks | undefined {
  const named = Object.entries(given).filter(([, names]) => names !== undefined);
  return named.length > 0 ? Object.fromEntries(named) : undefined;
}

/** A job's events as they are sent, numbered. */
async function* eventsOf(
  record: JobRecord,
  from: number,
  status: () => JobStatus,
): AsyncGenerator<SentEvent, void, void> {
  let id = from;
  for await (const event of record.events(from)) {
    yield { id: id++, event: event.type, data: await dataOf(event, record, status) };
  }
}

async function dataOf(event: ServedEvent, record: JobRecord, status: () => JobStatus): Promise<object> {
  switch (event.type) {
    case 'queued': {
      const { position, secondsLeft } = event;
      return { id: record.id, position, ...(secondsLeft !== undefined && { secondsLeft }) };
    }
    case 'started':
      return { id: record.id };
    case 'step': {
      const { step, steps, call, calls, kind, preview } = event;
      const url = preview && (await previewUrl(preview));
      return { step, steps, call, calls, kind, ...(url !== undefined && { preview: url }) };
    }
    case 'failed':
      return { id: record.id, error: failureOf(event.error) };
    default:
      await record.over;
      return status();
  }
}

const previews = new WeakMap<Preview, Promise<string | undefined>>();

/** A preview as a small JPEG in a `data:` URL; made once, however many listen. */
function previewUrl(preview: Preview): Promise<string | undefined> {
  let url = previews.get(preview);
  if (!url) {
    url = previewImage(preview).then(async (image) => {
      if (!image) return undefined;
      return `data:image/jpeg;base64,${await toBase64(image, 'jpeg', { quality: 70, metadata: false })}`;
    });
    previews.set(preview, url);
  }
  return url;
}

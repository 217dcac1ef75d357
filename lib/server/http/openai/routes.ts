import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { maskOfAlpha } from '../../../images/alpha-mask.js';
import { resultOf, submitConnected } from '../connected.js';
import { type Context, modelOf } from '../context.js';
import { type RequestError, toRequestError } from '../errors.js';
import { gone, sendEvents } from '../event-stream.js';
import type { Limits } from '../limits.js';
import { acceptForms, type Form, readForm } from '../multipart.js';
import { checkPicture } from '../pictures.js';
import { answerOf, type EventPrefix, eventsOf } from './answers.js';
import { FieldError, type Fields, readFields } from './fields.js';
import { deliveryOf, type Pictures, wantedOf } from './request.js';

const tags = ['openai'];

/** OpenAI's Images: the requests that its clients make, and the answers that they understand. */
export async function openAiRoutes(app: FastifyInstance, context: Context, limits: Limits): Promise<void> {
  const { engine, callerOf, baseOf } = context;
  const started = Math.floor(Date.now() / 1000);
  await acceptForms(app, limits);
  app.setErrorHandler((error, _, reply) => {
    const answer = toRequestError(error, engine.stats().secondsLeft);
    if (answer.status >= 500) reply.log.error({ err: error }, 'failed');
    if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter);
    return reply.code(answer.status).send(failure(answer));
  });

  const modelInfo = (id: string) => ({ id, object: 'model', created: started, owned_by: 'deepcache' });
  app.get('/v1/models', { schema: { tags, summary: 'The models of this server.' } }, async () => ({
    object: 'list',
    data: engine.models().map(({ name }) => modelInfo(name)),
  }));
  app.get('/v1/models/:model', { schema: { tags, summary: 'A model.' } }, async (request) =>
    modelInfo(modelOf(context, (request.params as { model: string }).model)),
  );

  app.post(
    '/v1/images/generations',
    { schema: { tags, summary: 'Pictures of a prompt.' } },
    async (request, reply) => {
      const { body } = request;
      if (typeof body !== 'object' || body === null || Array.isArray(body))
        throw new FieldError('body', 'The body must be a JSON object.');
      const fields = readFields(body as Record<string, unknown>);
      requirePrompt(fields);
      return make(request, reply, fields, {}, 'image_generation');
    },
  );

  app.post(
    '/v1/images/edits',
    { schema: { tags, summary: 'A picture, changed as a prompt says.' } },
    async (request, reply) => {
      const { fields, image, mask } = await readEdit(request);
      requirePrompt(fields);
      return make(request, reply, fields, { image, mask }, 'image_edit');
    },
  );

  app.post(
    '/v1/images/variations',
    { schema: { tags, summary: 'A picture, made anew.' } },
    async (request, reply) => {
      const { fields, image } = await readEdit(request);
      return make(request, reply, fields, { image }, 'image_edit');
    },
  );

  async function make(
    request: FastifyRequest,
    reply: FastifyReply,
    fields: Fields,
    pictures: Pictures,
    prefix: EventPrefix,
  ): Promise<object> {
    const delivery = deliveryOf(fields);
    const wanted = await wantedOf(context, fields, pictures);
    const record = await submitConnected(context, callerOf(request), wanted, reply);
    if (delivery.isStream)
      return sendEvents(
        reply,
        eventsOf(record, prefix, delivery, (error) => failure(toRequestError(error))),
      );
    return answerOf(record, await resultOf(record), delivery, baseOf(request), gone(reply));
  }

  /** A form with one picture, and a mask, which may be the picture's own transparency. */
  async function readEdit(request: FastifyRequest): Promise<{ fields: Fields } & Required<Pictures>> {
    const form = await readForm(request, limits);
    const fields = readFields(form.fields);
    const allowed = callerOf(request).limits;
    const image = fileOf(form, 'image');
    if (!image)
      throw new FieldError('image', "Missing required parameter: 'image'.", 'missing_required_parameter');
    await checkPicture('image', image, allowed);
    const mask = fileOf(form, 'mask');
    if (mask) await checkPicture('mask', mask, allowed);
    const painted = await maskOfAlpha(mask ?? image, allowed.inputPixels);
    if (mask && !painted)
      throw new FieldError('mask', 'The mask must have transparent parts: they are painted anew.');
    return { fields, image, mask: painted };
  }
}

function fileOf({ files }: Form, name: string): Uint8Array | undefined {
  const [file, ...others] = files[name] ?? [];
  if (others.length > 0) throw new FieldError(name, `Only one ${name} can be used at a time.`);
  return file;
}

function requirePrompt({ prompt }: Fields): void {
  if (!prompt)
    throw new FieldError('prompt', "Missing required parameter: 'prompt'.", 'missing_required_parameter');
}

/** An error as OpenAI's clients read it. */
function failure(answer: RequestError): object {
  const { status, code, message } = answer;
  const type = status >= 500 ? 'server_error' : status === 429 ? 'rate_limit_error' : 'invalid_request_error';
  const param = answer instanceof FieldError ? answer.param : paramOf(code, message);
  return { error: { message, type, param, code } };
}

/** Ours begin with the option's name; those that have another one there are called by it. */
function paramOf(code: string, message: string): string | null {
  if (code !== 'ERR_DEEPCACHE_INVALID_ARGUMENT') return null;
  const [name = ''] = /^\w+/.exec(message) ?? [];
  return RENAMED[name] ?? (name || null);
}

const RENAMED: Readonly<Record<string, string>> = {
  guidanceScale: 'guidance',
  numImages: 'n',
  width: 'size',
  height: 'size',
  negativePrompt: 'negative_prompt',
  maskImage: 'mask',
};

import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { resultOf, submitConnected } from '../connected.js';
import { type Context, modelOf } from '../context.js';
import { toRequestError } from '../errors.js';
import { gone } from '../event-stream.js';
import type { JobRecord, Made } from '../jobs/desk.js';
import type { Caller } from '../keys.js';
import { type Body, ImageToImageBody, TextToImageBody } from './body.js';
import { listRoutes } from './lists.js';
import { pngInfo } from './png-info.js';
import { progressOf } from './progress.js';
import { modelName, wantedOf } from './request.js';

const tags = ['web UI'];

/** The part of the web UI's API that its clients use, as `--api` offers it there. */
export async function sdApiRoutes(app: FastifyInstance, context: Context): Promise<void> {
  const { engine, records, callerOf } = context;

  app.setErrorHandler((error, _, reply) => {
    const answer = toRequestError(error, engine.stats().secondsLeft);
    if (answer.status >= 500) reply.log.error({ err: error }, 'failed');
    if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter);
    const { status, code, message } = answer;
    return reply.code(status).send({ error: code, detail: message, body: '', errors: message });
  });

  app.post(
    '/sdapi/v1/txt2img',
    { schema: { tags, summary: 'Pictures of a prompt.', body: TextToImageBody } },
    (request, reply) => make(request, reply, request.body as Body),
  );
  app.post(
    '/sdapi/v1/img2img',
    { schema: { tags, summary: 'Pictures of a picture.', body: ImageToImageBody } },
    (request, reply) => make(request, reply, request.body as Body, true),
  );

  async function make(
    request: FastifyRequest,
    reply: FastifyReply,
    body: Body,
    needsImage = false,
  ): Promise<object> {
    const caller = callerOf(request);
    if (needsImage && !body.init_images?.length)
      return reply
        .code(404)
        .send({ error: 'not_found', detail: 'Init image not found', body: '', errors: '' });
    // There is no common setting that one could change for all: `/options` chose for the caller.
    const chosen = await records.chosenModel(caller);
    const { seeds, ...wanted } = await wantedOf(context, body, chosen, caller.limits);
    const record = await submitConnected(context, caller, wanted, reply, true);
    await record.over;
    // Who interrupts wants no error.
    const result = record.state === 'cancelled' ? undefined : await resultOf(record);
    return answer(body, record, seeds, result, gone(reply));
  }

  app.get(
    '/sdapi/v1/progress',
    { schema: { tags, summary: "How far the caller's newest job is." } },
    async (request) => {
      const record = await records.newest(callerOf(request));
      const { skip_current_image: skip } = request.query as { skip_current_image?: string };
      return progressOf(record, record?.position ?? 0, skip !== 'true' && skip !== 'True');
    },
  );
  const interrupt = async (request: FastifyRequest) => {
    await (await records.newest(callerOf(request)))?.cancel();
    return {};
  };
  app.post(
    '/sdapi/v1/interrupt',
    { schema: { tags, summary: "Cancels the caller's newest job." } },
    interrupt,
  );
  app.post('/sdapi/v1/skip', { schema: { tags, summary: 'The same.' } }, interrupt);

  const choiceOf = async (caller: Caller) =>
    (await records.chosenModel(caller)) ?? modelOf(context, undefined);
  app.get('/sdapi/v1/options', { schema: { tags, summary: "The caller's settings." } }, async (request) => ({
    sd_model_checkpoint: await choiceOf(callerOf(request)),
    sd_checkpoint_hash: '',
    sd_vae: 'Automatic',
    CLIP_stop_at_last_layers: 1,
    samples_format: 'png',
    show_progress_every_n_steps: 1,
    live_previews_enable: true,
  }));
  app.post(
    '/sdapi/v1/options',
    {
      schema: {
        tags,
        summary: "Chooses the caller's model; other settings are let pass.",
        body: Type.Object({ sd_model_checkpoint: Type.Optional(Type.Union([Type.String(), Type.Null()])) }),
      },
    },
    async (request) => {
      const { sd_model_checkpoint: title } = request.body as { sd_model_checkpoint?: string | null };
      if (typeof title === 'string')
        await records.chooseModel(callerOf(request), modelOf(context, modelName(title)));
      return null;
    },
  );
  app.post(
    '/sdapi/v1/png-info',
    { schema: { tags, summary: 'The settings in a picture.', body: Type.Object({ image: Type.String() }) } },
    (request) => pngInfo((request.body as { image: string }).image, callerOf(request).limits),
  );
  listRoutes(app, context, tags);
}

async function answer(
  body: Body,
  record: JobRecord,
  seeds: readonly number[],
  result: Made | undefined,
  stop: AbortSignal,
): Promise<object> {
  const { options, model } = record.request;
  const pictures = result?.pictures ?? [];
  const images: string[] = [];
  for (const picture of body.send_images === false ? [] : pictures) {
    images.push((await picture.file('png')).toString('base64'));
    stop.throwIfAborted();
  }
  const {
    prompt = '',
    negativePrompt = '',
    steps,
    guidanceScale,
    scheduler,
  } = options as Record<string, unknown>;
  const all = (value: unknown) => seeds.map(() => value);
  const info = {
    ...{
      prompt,
      all_prompts: all(prompt),
      negative_prompt: negativePrompt,
      all_negative_prompts: all(negativePrompt),
    },
    ...{ seed: seeds[0], all_seeds: seeds, subseed: -1, all_subseeds: all(-1), subseed_strength: 0 },
    ...{ width: pictures[0]?.width ?? body.width, height: pictures[0]?.height ?? body.height },
    ...{ sampler_name: scheduler ?? 'Automatic', cfg_scale: guidanceScale, steps, batch_size: seeds.length },
    ...{ sd_model_name: model, infotexts: result?.settings ?? [], index_of_first_image: 0 },
    ...{ job_timestamp: new Date(record.created).toISOString(), is_using_inpainting_conditioning: false },
  };
  // Pictures that were sent are not sent back.
  const { init_images: _, mask: __, ...parameters } = body;
  return { images, parameters, info: JSON.stringify(info) };
}

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import OpenAI, { toFile } from 'openai';
import { DeepCacheError, Image } from '../../../lib/index.js';
import { makeApiKey } from '../../../lib/server/http/index.js';
import type { FakeJob } from './fake-engine.js';
import { closeAll, post, type Serving, serve, until } from './serving.js';

const { key, entry } = makeApiKey('ann');
let serving: Serving;
let client: OpenAI;
beforeEach(async () => {
  serving = await serve({ keys: [entry] });
  client = new OpenAI({ apiKey: key, baseURL: `${serving.base}/v1`, maxRetries: 0 });
});
afterEach(closeAll);

const nothing = () => {};
const open = (text: string | undefined) => Image.open(Buffer.from(text ?? '', 'base64'));
const optionsOf = (index = -1) => serving.engine.jobs.at(index)?.request.options as Record<string, unknown>;

/** A picture of one colour as a file, transparent where asked. */
async function picture(alpha?: (x: number, y: number) => number) {
  const { default: sharp } = await import('sharp');
  const data = Buffer.alloc(16 * 16 * 4, 200);
  for (let i = 0; i < 256; i++) data[4 * i + 3] = alpha?.(i % 16, i >> 4) ?? 255;
  const png = await sharp(data, { raw: { width: 16, height: 16, channels: 4 } })
    .png()
    .toBuffer();
  return toFile(png, 'picture.png', { type: 'image/png' });
}

describe("OpenAI's client", () => {
  test('lists models', async () => {
    const names: string[] = [];
    for await (const { id, object, owned_by } of client.models.list())
      names.push(`${id} ${object} ${owned_by}`);
    expect(names).toEqual(['one model deepcache', 'two model deepcache']);
    expect((await client.models.retrieve('two')).id).toBe('two');
    await expect(client.models.retrieve('three')).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
  });

  test('makes pictures', async () => {
    const before = Math.floor(Date.now() / 1000);
    const response = await client.images.generate({
      ...{ model: 'two', prompt: 'a barn', n: 2, size: '128x64' },
      ...({ steps: 9, guidance: 3, seed: 5, cache: 'fast', negative_prompt: 'a dog' } as object),
    });
    expect(serving.engine.jobs[0]?.request).toMatchObject({
      model: 'two',
      task: 'text-to-image',
      client: 'ann',
    });
    expect(optionsOf()).toEqual({
      ...{ prompt: 'a barn', negativePrompt: 'a dog', numImages: 2, width: 128, height: 64 },
      ...{ steps: 9, guidanceScale: 3, seed: 5, cache: 'fast' },
    });
    expect(response.created).toBeGreaterThanOrEqual(before);
    expect(response.created).toBeLessThanOrEqual(Date.now() / 1000);
    expect(response).toMatchObject({ size: '128x64', output_format: 'png', usage: { total_tokens: 0 } });
    const images = await Promise.all((response.data ?? []).map(({ b64_json }) => open(b64_json)));
    expect(images.map(({ width, height, data }) => [width, height, data[0]])).toEqual([
      [128, 64, 10],
      [128, 64, 50],
    ]);
  });

  test('gets addresses of pictures, which need no key', async () => {
    const response = await client.images.generate({
      prompt: 'a barn',
      response_format: 'url',
      output_format: 'webp',
    });
    const [{ url = '' } = {}] = response.data ?? [];
    expect(url).toMatch(new RegExp(`^${serving.base}/files/[\\w-]{32}/0\\.webp$`));
    const file = await fetch(url);
    expect(file.headers.get('content-type')).toBe('image/webp');
    expect((await Image.open(new Uint8Array(await file.arrayBuffer()))).width).toBe(64);
  });

  test('follows a stream with pictures on the way', async () => {
    serving.engine.onJob = nothing;
    const stream = await client.images.generate({
      ...{ prompt: 'a barn', stream: true, partial_images: 2, output_format: 'jpeg', output_compression: 60 },
      ...({ steps: 9 } as object),
    });
    const [job] = serving.engine.jobs as [FakeJob];
    expect(job.request.previewEvery).toBe(3);
    job.start();
    const events: OpenAI.ImageGenStreamEvent[] = [];
    job.step(3, 9, true);
    for await (const event of stream) {
      events.push(event);
      if (events.length === 1) job.step(6, 9, true);
      if (events.length !== 2) continue;
      job.step(9, 9, true);
      job.finish();
    }
    expect(events.map(({ type }) => type)).toEqual([
      'image_generation.partial_image',
      'image_generation.partial_image',
      'image_generation.completed',
    ]);
    expect(
      events.map((event) => ('partial_image_index' in event ? event.partial_image_index : 'none')),
    ).toEqual([...[0, 1], 'none']);
    for (const event of events) {
      expect(event).toMatchObject({
        output_format: 'jpeg',
        size: '64x64',
        background: 'opaque',
        quality: 'auto',
      });
      expect(Number.isInteger(event.created_at)).toBe(true);
      expect((await open(event.b64_json)).width).toBe(64);
    }
    expect(events[2]).toMatchObject({ usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 } });
  });

  test("spaces pictures on the way out by the model's own steps where the request says none", async () => {
    const every = async (about: object | undefined) => {
      Object.assign(serving.engine, { about: about && (async () => about) });
      serving.engine.onJob = (job) => {
        job.start();
        job.finish();
      };
      const stream = await client.images.generate({ prompt: 'a barn', stream: true, partial_images: 2 });
      for await (const _ of stream);
      return serving.engine.jobs.at(-1)?.request.previewEvery;
    };
    expect(await every({ steps: 9 })).toBe(3);
    expect(await every({})).toBe(16);
    expect(await every(undefined)).toBe(16);
  });

  test('learns of a failure in the middle of a stream', async () => {
    serving.engine.onJob = (job) => {
      job.start();
      job.fail(new DeepCacheError('ERR_DEEPCACHE_NOT_FINITE', 'NaN in a layer'));
    };
    const stream = await client.images.generate({ prompt: 'a barn', stream: true });
    const read = async () => {
      for await (const _ of stream) nothing();
    };
    await expect(read()).rejects.toThrow(OpenAI.APIError);
  });

  test('cancels a job by going away', async () => {
    serving.engine.onJob = (job) => job.start();
    for (const more of [{}, { stream: true } as const]) {
      const stop = new AbortController();
      const asked = client.images.generate({ prompt: 'a barn', ...more }, { signal: stop.signal });
      asked.catch(nothing);
      await until(() => serving.engine.jobs.at(-1)?.state === 'running');
      if ('stream' in more) await asked;
      stop.abort();
      await until(() => serving.engine.jobs.at(-1)?.state === 'cancelled');
    }
    expect(serving.engine.jobs).toHaveLength(2);
  });

  test('changes pictures, all of them or where a mask is transparent', async () => {
    const image = await picture();
    const plain = await client.images.edit({ image, prompt: 'a boat', ...({ strength: 0.4 } as object) });
    expect((await open(plain.data?.[0]?.b64_json)).width).toBe(64);
    expect(serving.engine.jobs[0]?.request).toMatchObject({
      task: 'image-to-image',
      options: { strength: 0.4 },
    });
    const mask = await picture((x) => (x < 4 ? 0 : 255));
    await client.images.edit({ image, mask, prompt: 'a boat', n: 1, size: '64x64' });
    expect(serving.engine.jobs[1]?.request.task).toBe('inpaint');
    const painted = optionsOf().maskImage as { data: Uint8Array; width: number; channels: number };
    expect([painted.width, painted.channels, painted.data[0], painted.data[8]]).toEqual([16, 1, 255, 0]);
    // The picture's own transparency is a mask, too.
    await client.images.edit({ image: mask, prompt: 'a boat' });
    expect(serving.engine.jobs[2]?.request.task).toBe('inpaint');
    const stream = await client.images.edit({ image, prompt: 'a boat', stream: true });
    const types: string[] = [];
    for await (const { type } of stream) types.push(type);
    expect(types).toEqual(['image_edit.completed']);
  });

  test('makes variations', async () => {
    const { data } = await client.images.createVariation({
      image: await picture(),
      n: 2,
      response_format: 'b64_json',
    });
    expect(data).toHaveLength(2);
    expect(serving.engine.jobs[0]?.request).toMatchObject({
      task: 'image-to-image',
      options: { prompt: '' },
    });
  });

  test.each([
    [{ prompt: '' }, 'prompt', 'missing_required_parameter'],
    [{ prompt: 'a', size: '64 by 64' }, 'size', 'invalid_value'],
    [{ prompt: 'a', size: '8192x8192' }, 'size', 'ERR_DEEPCACHE_INVALID_ARGUMENT'],
    [{ prompt: 'a', n: 9 }, 'n', 'ERR_DEEPCACHE_INVALID_ARGUMENT'],
    [{ prompt: 'a', n: 'two' }, 'n', 'invalid_type'],
    [{ prompt: 'a', steps: 151 }, 'steps', 'ERR_DEEPCACHE_INVALID_ARGUMENT'],
    [{ prompt: 'a', partial_images: 4, stream: true }, 'partial_images', 'invalid_value'],
    [{ prompt: 'a', background: 'transparent' }, 'background', 'invalid_value'],
    [{ prompt: 'a', response_format: 'url', stream: true }, 'response_format', 'invalid_value'],
    [{ prompt: 'a', sampler: 'Euler' }, 'sampler', 'unknown_parameter'],
    [{ prompt: 'a'.repeat(20_001) }, 'prompt', 'ERR_DEEPCACHE_INVALID_ARGUMENT'],
  ] as const)('is told what is wrong, case %#', async (body, param, code) => {
    const failed = client.images.generate(body as never);
    await expect(failed).rejects.toMatchObject({ status: 400, param, code, type: 'invalid_request_error' });
    await expect(failed).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    expect(serving.engine.jobs).toEqual([]);
  });

  test('is told of keys, models and a full queue in its own classes', async () => {
    const stranger = new OpenAI({ apiKey: 'dc_wrong', baseURL: `${serving.base}/v1`, maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await expect(client.images.generate({ prompt: 'a', model: '../../etc/passwd' })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    serving.engine.onSubmit = () => {
      throw new DeepCacheError('ERR_DEEPCACHE_BUSY', '256 jobs are waiting');
    };
    const busy = client.images.generate({ prompt: 'a' });
    await expect(busy).rejects.toBeInstanceOf(OpenAI.RateLimitError);
    await expect(busy).rejects.toMatchObject({
      message: '429 256 jobs are waiting',
      type: 'rate_limit_error',
    });
    const raw = await post(
      `${serving.base}/v1/images/generations`,
      { prompt: 'a' },
      { authorization: `Bearer ${key}` },
    );
    expect(raw.headers.get('retry-after')).toBe('12');
  });
});

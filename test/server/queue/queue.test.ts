import { expect, test } from '@jest/globals';
import OpenAI, { toFile } from 'openai';
import { DiffusionPipeline, Image } from '../../../lib/index.js';
import { makeApiKey } from '../../../lib/server/http/index.js';
import { FOLDER } from '../../pipelines/tiny.js';
import { answer, post, type Received, received, until } from '../http/serving.js';
import { describeQueue } from './describe-queue.js';
import { endAll, front, worker } from './machines.js';
import { sharedRedis } from './shared-redis.js';

// Servers and workers around a Redis of the test's own; all of them in this process, so that a test can look at both sides.

const RUN = { prompt: 'a red barn', steps: 4, scheduler: 'DDIM', seed: 3 } as const;
/** Goes on until somebody stops it. */
const LONG = { prompt: 'a red barn', steps: 900, scheduler: 'DDIM', width: 256, height: 256, detach: true };
const LIMITS = { limits: { steps: 1000 } };

const shared = sharedRedis();

const jobOf = async (base: string, id: string) => (await answer(fetch(`${base}/api/jobs/${id}`))).body;
const handIn = async (base: string, body: object, headers: Record<string, string> = {}) => {
  const accepted = await answer(post(`${base}/api/jobs`, body, headers));
  expect(accepted).toMatchObject({ status: 201 });
  return accepted.body;
};
const isIn = (base: string, id: string, state: string) =>
  until(async () => (await jobOf(base, id)).state === state);
const bytesOf = async (url: string) => new Uint8Array(await (await fetch(url)).arrayBuffer());

async function events(response: Response): Promise<Received[]> {
  const all: Received[] = [];
  for await (const event of received(response)) all.push(event);
  return all;
}

describeQueue('servers and workers around a queue', () => {
  test('make what a pipeline makes, and every server knows it', async () => {
    await worker(shared.server.url);
    const [one, two] = [await front(shared.server.url), await front(shared.server.url)];
    const stream = await post(`${one.base}/api/jobs`, RUN, { accept: 'text/event-stream' });
    const all = await events(stream);
    expect(all.map(({ event }) => event)).toEqual([
      'queued',
      'started',
      'step',
      'step',
      'step',
      'step',
      'done',
    ]);
    expect(all.map(({ id }) => id)).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    expect(all[0]?.data).toMatchObject({ position: 1 });
    const { id, images, seeds, settings } = all.at(-1)?.data ?? {};
    expect([seeds, settings]).toEqual([[3], [expect.stringContaining('Seed: 3')]]);

    await using pipe = await DiffusionPipeline.fromPretrained(FOLDER, { device: 'cpu', log: () => {} });
    const expected = (await pipe.generate(RUN)).images[0];
    const url = new URL(images[0].url);
    const bytes = await bytesOf(`${two.base}${url.pathname}`);
    expect(Buffer.from((await Image.open(bytes)).data).equals(Buffer.from(expected.data))).toBe(true);
    const smaller = await fetch(`${two.base}${url.pathname.replace('.png', '.webp')}`);
    expect(smaller.headers.get('content-type')).toBe('image/webp');

    const late = await fetch(`${two.base}/api/jobs/${id}/events`, { headers: { 'last-event-id': '4' } });
    expect((await events(late)).map((event) => event.id)).toEqual(['5', '6']);
    expect(await jobOf(two.base, id)).toMatchObject({ state: 'done', model: 'tiny', progress: { call: 4 } });
    expect((await answer(fetch(`${two.base}/api/jobs`))).body.jobs).toHaveLength(1);
  });

  // Only the newest is kept: with so many calls between two of them, each is there for a while.
  test('pass previews on', async () => {
    await worker(shared.server.url);
    const { base } = await front(shared.server.url, LIMITS);
    const body = { ...LONG, previewEvery: 50 };
    const stream = await post(`${base}/api/jobs`, body, { accept: 'text/event-stream' });
    let seen: string | undefined;
    for await (const { data } of received(stream)) {
      seen = data.preview;
      if (seen) break;
    }
    expect(seen).toMatch(/^data:image\/jpeg;/);
  });

  test('serve the other APIs, and pictures go with their jobs', async () => {
    await worker(shared.server.url);
    const { base } = await front(shared.server.url);
    const api = new OpenAI({ apiKey: 'none', baseURL: `${base}/v1` });
    const options = { steps: 3, seed: 5 } as object;
    const { data } = await api.images.generate({ model: 'tiny', prompt: 'a boat', ...options });
    const start = Buffer.from(data?.[0]?.b64_json ?? '', 'base64');
    const image = await toFile(start, 'start.png', { type: 'image/png' });
    const edited = await api.images.edit({ image, prompt: 'a blue boat', ...options, ...{ strength: 0.7 } });
    expect(edited.data).toHaveLength(1);
    const mask = await new Image({
      width: 64,
      height: 64,
      data: new Uint8Array(64 * 64 * 3).fill(255),
    }).toBuffer();
    const ui = await answer(
      post(`${base}/sdapi/v1/img2img`, {
        ...{ prompt: 'a boat', steps: 3, seed: 9, width: 64, height: 64, denoising_strength: 0.7 },
        ...{ init_images: [start.toString('base64')], mask: mask.toString('base64') },
      }),
    );
    expect([ui.status, ui.body.images?.length]).toEqual([200, 1]);
    const large = { prompt: 'a', steps: 3, seed: '9223372036854775807' };
    const { id } = await handIn(base, { ...large, image: start.toString('base64'), strength: 0.9 });
    await isIn(base, id, 'done');
    expect((await jobOf(base, id)).seeds).toEqual(['9223372036854775807']);
    // Nothing of what was sent is left, and nobody waits.
    expect(await shared.client.keys('*:input:*')).toEqual([]);
    expect(await shared.client.get('{deepcache}:bytes')).toBe('0');
    expect(await shared.client.keys('*:open:*')).toEqual([]);
    // The front refuses what a pipeline refuses, before anything waits.
    const wrong = await answer(post(`${base}/api/jobs`, { ...RUN, width: 100 }));
    expect([wrong.status, wrong.body.error.message]).toEqual([400, expect.stringContaining('multiple of 8')]);
  });

  test('a request that is sent again is one job, at whichever server', async () => {
    const [one, two] = [await front(shared.server.url), await front(shared.server.url)];
    await worker(shared.server.url);
    await until(async () => (await fetch(`${two.base}/v1/models/tiny`)).status === 200);
    await until(async () => (await fetch(`${one.base}/v1/models/tiny`)).status === 200);
    const key = { 'idempotency-key': 'k1' };
    const answers = await Promise.all(
      [one, two, one, two].map(({ base }) => answer(post(`${base}/api/jobs`, RUN, key))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const other = await answer(post(`${two.base}/api/jobs`, { ...RUN, seed: 4 }, key));
    expect([other.status, other.body.error.code]).toEqual([409, 'idempotency_conflict']);
    await isIn(one.base, answers[0]?.body.id, 'done');
    expect((await answer(fetch(`${one.base}/api/jobs`))).body.jobs).toHaveLength(1);
  });

  test('any server cancels what waits and what runs, and nothing else', async () => {
    const busy = await worker(shared.server.url, { places: 1 });
    const [one, two] = [await front(shared.server.url, LIMITS), await front(shared.server.url, LIMITS)];
    const running = await handIn(one.base, LONG);
    await until(async () => (await jobOf(two.base, running.id)).progress !== undefined);
    const waiting = await handIn(one.base, { ...RUN, detach: true });
    const other = await handIn(one.base, { ...RUN, detach: true, seed: 9 });
    expect((await jobOf(two.base, other.id)).position).toBe(2);
    const listening = events(await fetch(`${one.base}/api/jobs/${waiting.id}/events`));
    const gone = await answer(fetch(`${two.base}/api/jobs/${waiting.id}`, { method: 'DELETE' }));
    expect(gone.body.state).toBe('cancelled');
    expect((await listening).map(({ event }) => event)).toEqual(['queued', 'cancelled']);
    expect((await jobOf(two.base, other.id)).position).toBe(1);
    const stopped = await answer(fetch(`${two.base}/api/jobs/${running.id}`, { method: 'DELETE' }));
    expect(stopped.body).toMatchObject({ state: 'cancelled', progress: { calls: 900 } });
    await isIn(one.base, other.id, 'done');
    // It says so to BullMQ after it has told of the end.
    await until(() => busy.running === 0);
    expect(await jobOf(one.base, running.id)).toMatchObject({ state: 'cancelled' });
    expect((await jobOf(one.base, running.id)).images).toBeUndefined();
  });

  test('a job whose client goes away is cancelled, unless it is detached', async () => {
    const patience = { ...LIMITS, reconnectSeconds: 0 };
    await worker(shared.server.url);
    const [one, two] = [await front(shared.server.url, patience), await front(shared.server.url, patience)];
    const { detach: _, ...attached } = LONG;
    const stream = await post(`${one.base}/api/jobs`, attached, { accept: 'text/event-stream' });
    let id = '';
    for await (const { event, data } of received(stream)) {
      if (event === 'queued') id = data.id;
      if (event === 'step') break;
    }
    const detached = await handIn(two.base, LONG);
    // Who asked a server would keep it.
    await until(async () => (await shared.client.hget(`{deepcache}:job:${id}`, 'state')) === 'cancelled');
    await isIn(two.base, detached.id, 'running');
    await fetch(`${two.base}/api/jobs/${detached.id}`, { method: 'DELETE' });
    const left = new AbortController();
    const call = fetch(`${one.base}/v1/images/generations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'a', steps: 900, scheduler: 'DDIM', size: '256x256' }),
      signal: left.signal,
    }).catch(() => {});
    await until(async () => (await shared.client.zcard('{deepcache}:running')) > 0);
    left.abort();
    await call;
    await until(async () => (await shared.client.keys('*:open:*')).length === 0);
  });

  test('who asks for a job at any server keeps it for a while', async () => {
    await worker(shared.server.url);
    const [one, two] = [await front(shared.server.url, LIMITS), await front(shared.server.url, LIMITS)];
    const { detach: _, ...attached } = LONG;
    const { id } = await handIn(one.base, attached);
    const leases = '{deepcache}:leases';
    const till = async () => Number(await shared.client.zscore(leases, id));
    const before = await till();
    await jobOf(two.base, id);
    await until(async () => (await till()) > before);
    // As after that while; nobody asks any more but the test, and that of Redis.
    await shared.client.zadd(leases, 1, id);
    await until(async () => (await shared.client.hget(`{deepcache}:job:${id}`, 'state')) === 'cancelled');
  });

  test('limits hold for all servers together', async () => {
    const { key, entry } = makeApiKey('ann');
    const other = makeApiKey('bob');
    const options = { ...LIMITS, keys: [{ ...entry, maxPending: 2 }, other.entry] };
    const queue = { maxQueued: 3 };
    await worker(shared.server.url, { places: 1 });
    const [one, two] = [
      await front(shared.server.url, options, queue),
      await front(shared.server.url, options, queue),
    ];
    const ann = { authorization: `Bearer ${key}` };
    const bob = { authorization: `Bearer ${other.key}` };
    const first = await handIn(one.base, LONG, ann);
    await until(async () => (await shared.client.zcard('{deepcache}:running')) === 1);
    expect((await answer(post(`${two.base}/api/jobs`, LONG, ann))).status).toBe(201);
    const third = await answer(post(`${one.base}/api/jobs`, LONG, ann));
    expect([third.status, third.body.error.message]).toEqual([429, expect.stringContaining('of this key')]);
    for (const { base } of [one, two])
      expect((await answer(post(`${base}/api/jobs`, LONG, bob))).status).toBe(201);
    const full = await answer(post(`${two.base}/api/jobs`, LONG, bob));
    expect([full.status, full.body.error.code]).toEqual([429, 'ERR_DEEPCACHE_BUSY']);
    expect(Number(full.headers.get('retry-after'))).toBeGreaterThan(0);
    // What is somebody else's is not there.
    const foreign = await answer(fetch(`${two.base}/api/jobs/${first.id}`, { headers: bob }));
    expect(foreign.status).toBe(404);
    expect((await answer(fetch(`${two.base}/api/jobs`, { headers: bob }))).body.jobs).toHaveLength(2);
  });

  test('clients take turns, and higher priorities go first', async () => {
    const keys = ['ann', 'bob', 'eve'].map((name) => makeApiKey(name));
    const entries = keys.map(({ entry }, i) => (i === 2 ? { ...entry, priority: 1 } : entry));
    await worker(shared.server.url, { places: 1 });
    const { base } = await front(shared.server.url, { ...LIMITS, keys: entries });
    const [ann, bob, eve] = keys.map(({ key }) => ({ authorization: `Bearer ${key}` }));
    const blocker = await handIn(base, LONG, ann);
    await until(async () => (await shared.client.zcard('{deepcache}:running')) === 1);
    const jobs: [string, string][] = [];
    const add = async (name: string, headers = {}, more = {}) =>
      jobs.push([(await handIn(base, { ...RUN, detach: true, ...more }, headers)).id, name]);
    for (let i = 0; i < 3; i++) await add('ann', ann);
    await add('later', bob, { priority: -1 });
    await add('bob', bob);
    await add('eve', eve);
    await fetch(`${base}/api/jobs/${blocker.id}`, {
      method: 'DELETE',
      headers: ann as Record<string, string>,
    });
    await until(async () => (await shared.client.keys('*:open:*')).length === 0);
    const begun = await Promise.all(
      jobs.map(
        async ([id, name]) =>
          [Number(await shared.client.hget(`{deepcache}:job:${id}`, 'started')), name] as const,
      ),
    );
    const order = begun.sort(([a], [b]) => a - b).map(([, name]) => name);
    expect(order[0]).toBe('eve');
    expect(order.at(-1)).toBe('later');
    expect(order.indexOf('bob')).toBeLessThan(order.lastIndexOf('ann'));
  });

  test('say which models there are, in the shape of each API', async () => {
    const { base } = await front(shared.server.url);
    const ready = await answer(fetch(`${base}/readyz`));
    expect([ready.status, ready.body.error.code, ready.headers.get('retry-after')]).toEqual([
      503,
      'no_worker',
      '10',
    ]);
    const none = await answer(post(`${base}/v1/images/generations`, { prompt: 'a' }));
    expect([none.status, none.body.error.type]).toEqual([503, 'server_error']);
    const ui = await answer(post(`${base}/sdapi/v1/txt2img`, { prompt: 'a' }));
    expect([ui.status, ui.body.error]).toEqual([503, 'no_worker']);
    await worker(shared.server.url);
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    expect((await answer(fetch(`${base}/v1/models`))).body.data).toMatchObject([{ id: 'tiny' }]);
    expect((await answer(fetch(`${base}/sdapi/v1/sd-models`))).body).toMatchObject([{ model_name: 'tiny' }]);
    const unknown = await answer(post(`${base}/api/jobs`, { ...RUN, model: 'huge' }));
    expect([unknown.status, unknown.body.error.code]).toEqual([404, 'model_not_found']);
    // One that was there is waited for a while, and then it is away, not unknown.
    await shared.client.hset('{deepcache}:seen', 'tiny', Date.now() - 60_000);
    await shared.client.zadd('{deepcache}:models', 1, 'old');
    await shared.client.hset('{deepcache}:seen', 'old', Date.now() - 60_000);
    await until(
      async () => (await answer(post(`${base}/api/jobs`, { ...RUN, model: 'old' }))).status === 503,
    );
  });

  test('results are kept for a while and within bytes, and nothing is left of what is forgotten', async () => {
    await worker(shared.server.url);
    const { base } = await front(shared.server.url);
    const { id } = await handIn(base, { ...RUN, detach: true }, { 'idempotency-key': 'k' });
    await isIn(base, id, 'done');
    const { images } = await jobOf(base, id);
    expect((await fetch(images[0].url)).status).toBe(200);
    // All servers forget what one of them forgets.
    await front(shared.server.url, { keepSeconds: 0 });
    await until(async () => (await fetch(images[0].url)).status === 404);
    expect((await answer(fetch(`${base}/api/jobs/${id}`))).status).toBe(404);
    const isOfJob = (key: string) => key.includes(id) || /:(picture|token|once|mine):/.test(key);
    await until(async () => !(await shared.client.keys('*')).some(isOfJob));
    expect(await shared.client.get('{deepcache}:made')).toBe('0');
    await endAll();
    await worker(shared.server.url);
    const small = await front(shared.server.url, { keepBytes: 1 });
    const first = await handIn(small.base, { ...RUN, detach: true });
    await until(async () => (await fetch(`${small.base}/api/jobs/${first.id}`)).status === 404);
  });

  test('a webhook is told by whichever server is there', async () => {
    const { createServer } = await import('node:http');
    const told: unknown[] = [];
    const hook = createServer((request, reply) => {
      let text = '';
      request.on('data', (data) => {
        text += data;
      });
      request.on('end', () => {
        told.push(JSON.parse(text));
        reply.end();
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => hook.once('listening', resolve));
    const host = `127.0.0.1:${(hook.address() as { port: number }).port}`;
    try {
      const options = { ...LIMITS, webhooks: { hosts: [host] } };
      const one = await front(shared.server.url, options);
      const busy = await worker(shared.server.url);
      await until(async () => (await fetch(`${one.base}/readyz`)).status === 200);
      await busy.close();
      const { id } = await handIn(one.base, { ...RUN, webhook: `http://${host}/told` });
      await one.server.close();
      await worker(shared.server.url);
      await front(shared.server.url, options);
      await until(() => told.length > 0);
      expect(told).toMatchObject([{ type: 'job.done', job: { id, state: 'done' } }]);
      await until(async () => (await shared.client.zcard('{deepcache}:hooks')) === 0);
    } finally {
      hook.close();
    }
  });
});

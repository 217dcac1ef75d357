import { afterEach, describe, expect, test } from '@jest/globals';
import { DeepCacheError, Image, readSettings } from '../../../lib/index.js';
import { makeApiKey } from '../../../lib/server/http/index.js';
import type { FakeJob } from './fake-engine.js';
import { answer, closeAll, post, type Received, received, serve, until } from './serving.js';

afterEach(closeAll);

const nothing = () => {};

describe('a job', () => {
  test('is handed in, made and fetched', async () => {
    const { engine, base } = await serve();
    const created = await answer(
      post(`${base}/api/jobs`, { prompt: 'a barn', seed: '18446744073709551615' }),
    );
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe(`/api/jobs/${created.body.id}`);
    expect(engine.jobs[0]?.request).toEqual({
      model: 'one',
      task: 'text-to-image',
      options: { prompt: 'a barn', seed: 18446744073709551615n },
      priority: 0,
      client: '127.0.0.1',
    });
    await until(
      async () => (await answer(fetch(`${base}/api/jobs/${created.body.id}`))).body.state === 'done',
    );
    const { body } = await answer(fetch(`${base}/api/jobs/${created.body.id}`));
    expect(body).toMatchObject({
      ...{
        state: 'done',
        model: 'one',
        task: 'text-to-image',
        settings: ['Steps: 4'],
        speedup: 2,
        seconds: 1.4,
      },
      images: [{ width: 64, height: 64 }],
      seeds: ['18446744073709551615'],
    });
    const [{ url }] = body.images;
    for (const [ending, type] of [
      ['png', 'image/png'],
      ['jpg', 'image/jpeg'],
      ['webp', 'image/webp'],
    ] as const) {
      const response = await fetch(url.replace(/png$/, ending));
      expect(response.headers.get('content-type')).toBe(type);
      const image = await Image.open(new Uint8Array(await response.arrayBuffer()));
      expect([image.width, image.data[0]]).toEqual([64, 10]);
    }
    for (const wrong of ['1.png', '0.exe', '0', '..%2f0.png'])
      expect((await fetch(url.replace(/0\.png$/, wrong))).status).toBe(404);
    const { body: all } = await answer(fetch(`${base}/api/jobs`));
    expect(all.jobs.map(({ id }: { id: string }) => id)).toEqual([created.body.id]);
  });

  test('that waits has a place and an estimate', async () => {
    const { engine, base } = await serve();
    engine.onJob = nothing;
    const { body } = await answer(post(`${base}/api/jobs`, { prompt: 'a barn' }));
    expect(body).toMatchObject({ state: 'queued', position: 1, secondsLeft: 3 });
    engine.jobs[0]?.start();
    engine.jobs[0]?.step(2);
    await until(async () => (await answer(fetch(`${base}/api/jobs/${body.id}`))).body.progress !== undefined);
    const status = await answer(fetch(`${base}/api/jobs/${body.id}`));
    expect(status.body).toMatchObject({
      state: 'running',
      progress: { step: 2, steps: 4, call: 2, calls: 4 },
    });
    expect(status.body).not.toHaveProperty('position');
  });

  test('that fails says why, and no more', async () => {
    const { engine, base, log } = await serve();
    engine.onJob = (job) => {
      job.start();
      job.fail(
        job.request.options.prompt === 'ours'
          ? new Error('/secret/weights cannot be read')
          : new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', 'steps is too much'),
      );
    };
    const failed = async (prompt: string) => {
      const { body } = await answer(post(`${base}/api/jobs`, { prompt }));
      await until(async () => (await answer(fetch(`${base}/api/jobs/${body.id}`))).body.state === 'failed');
      return (await answer(fetch(`${base}/api/jobs/${body.id}`))).body.error;
    };
    expect(await failed('theirs')).toEqual({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: 'steps is too much',
    });
    const ours = await failed('ours');
    expect(ours.code).toBe('ERR_DEEPCACHE_INTERNAL');
    expect(JSON.stringify(ours)).not.toContain('secret');
    expect(log.join('')).toContain('/secret/weights');
  });

  test('is cancelled, waiting or running', async () => {
    const { engine, base } = await serve();
    for (const begin of [nothing, (job: FakeJob) => job.start()]) {
      engine.onJob = begin;
      const { body } = await answer(post(`${base}/api/jobs`, { prompt: 'a barn' }));
      const gone = await answer(fetch(`${base}/api/jobs/${body.id}`, { method: 'DELETE' }));
      expect(gone).toMatchObject({ status: 200, body: { state: 'cancelled' } });
      expect(engine.jobs.at(-1)?.state).toBe('cancelled');
    }
  });

  test("is nobody else's business", async () => {
    const [ann, bob] = [makeApiKey('ann'), makeApiKey('bob')];
    const { engine, base } = await serve({ keys: [ann.entry, bob.entry] });
    engine.onJob = nothing;
    const as = ({ key }: { key: string }) => ({ authorization: `Bearer ${key}` });
    const { body } = await answer(post(`${base}/api/jobs`, { prompt: 'a barn' }, as(ann)));
    expect(engine.jobs[0]?.request.client).toBe('ann');
    for (const method of ['GET', 'DELETE']) {
      const other = await answer(fetch(`${base}/api/jobs/${body.id}`, { method, headers: as(bob) }));
      expect(other.status).toBe(404);
    }
    expect((await answer(fetch(`${base}/api/jobs/${body.id}/events`, { headers: as(bob) }))).status).toBe(
      404,
    );
    expect((await answer(fetch(`${base}/api/jobs`, { headers: as(bob) }))).body.jobs).toEqual([]);
    expect(engine.jobs[0]?.state).toBe('queued');
    const own = await answer(fetch(`${base}/api/jobs/${body.id}`, { method: 'DELETE', headers: as(ann) }));
    expect(own.body.state).toBe('cancelled');
  });
});

describe('events', () => {
  test('come as they happen, previews with them, and again from where they were left', async () => {
    const { engine, base } = await serve();
    engine.onJob = nothing;
    const { body } = await answer(post(`${base}/api/jobs`, { prompt: 'a barn', previewEvery: 2 }));
    const [job] = engine.jobs as [FakeJob];
    expect(job.request.previewEvery).toBe(2);
    const stream = received(await fetch(`${base}/api/jobs/${body.id}/events`));
    const next = async () => (await stream.next()).value as Received;
    expect(await next()).toEqual({
      event: 'queued',
      id: '0',
      data: { id: body.id, position: 1, secondsLeft: 3 },
    });
    job.start();
    expect(await next()).toMatchObject({ event: 'started', id: '1' });
    job.step(1, 4, true);
    const step = await next();
    expect(step).toMatchObject({
      event: 'step',
      id: '2',
      data: { step: 1, steps: 4, call: 1, calls: 4, kind: 'full' },
    });
    expect(step.data.preview).toMatch(/^data:image\/jpeg;base64,/);
    const preview = await Image.open(step.data.preview);
    expect([preview.width, preview.height]).toEqual([64, 64]);
    job.finish();
    const done = await next();
    expect(done).toMatchObject({ event: 'done', id: '3', data: { id: body.id, state: 'done', seeds: [7] } });
    expect((await stream.next()).done).toBe(true);
    const again = await fetch(`${base}/api/jobs/${body.id}/events`, { headers: { 'last-event-id': '1' } });
    const events: string[] = [];
    for await (const { event } of received(again)) events.push(event);
    expect(events).toEqual(['step', 'done']);
  });

  test('are the answer where they are asked for', async () => {
    const { base } = await serve();
    const response = await post(`${base}/api/jobs`, { prompt: 'a barn' }, { accept: 'text/event-stream' });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events: string[] = [];
    for await (const { event } of received(response)) events.push(event);
    expect(events).toEqual(['queued', 'started', 'done']);
  });

  test('of a failure and a cancel end the stream', async () => {
    const { engine, base } = await serve();
    engine.onJob = (job) => job.fail(new DeepCacheError('ERR_DEEPCACHE_NOT_FINITE', 'NaN in layer 3'));
    const events: Received[] = [];
    const response = await post(`${base}/api/jobs`, { prompt: 'a barn' }, { accept: 'text/event-stream' });
    for await (const event of received(response)) events.push(event);
    expect(events.at(-1)).toMatchObject({
      event: 'failed',
      data: { error: { code: 'ERR_DEEPCACHE_NOT_FINITE' } },
    });
    engine.onJob = (job) => job.cancel();
    const second = await post(`${base}/api/jobs`, { prompt: 'a barn' }, { accept: 'text/event-stream' });
    const names: string[] = [];
    for await (const { event } of received(second)) names.push(event);
    expect(names).toEqual(['queued', 'cancelled']);
  });
});

describe('a client that goes away', () => {
  const listen = async (url: string) => {
    const stop = new AbortController();
    const stream = received(await fetch(url, { signal: stop.signal }));
    await stream.next();
    return () => stop.abort();
  };

  // How long it may be away is tested by a clock of the test's own: leases.test.ts.
  test('cancels its job, and leaves a detached one alone', async () => {
    const { engine, base } = await serve({ reconnectSeconds: 0 });
    engine.onJob = nothing;
    for (const detach of [true, false]) {
      const { body } = await answer(post(`${base}/api/jobs`, { prompt: 'a barn', detach }));
      (await listen(`${base}/api/jobs/${body.id}/events`))();
    }
    await until(() => engine.jobs[1]?.state === 'cancelled');
    expect(engine.jobs[0]?.state).toBe('queued');
  });

  test('and never asks loses it', async () => {
    const { engine, base } = await serve({ pollSeconds: 0 });
    engine.onJob = nothing;
    for (const detach of [true, false]) await post(`${base}/api/jobs`, { prompt: 'a barn', detach });
    await until(() => engine.jobs[1]?.state === 'cancelled');
    expect(engine.jobs[0]?.state).toBe('queued');
  });
});

describe('idempotency keys', () => {
  test('make one job of several requests', async () => {
    const { engine, base } = await serve();
    engine.onJob = nothing;
    const send = (prompt: string) =>
      answer(post(`${base}/api/jobs`, { prompt }, { 'idempotency-key': 'k1' }));
    const [first, second] = await Promise.all([send('a barn'), send('a barn')]);
    expect([first.status, second.status].sort()).toEqual([200, 201]);
    expect(first.body.id).toBe(second.body.id);
    expect((await send('a barn')).body.id).toBe(first.body.id);
    expect(engine.jobs).toHaveLength(1);
    expect(await send('a boat')).toMatchObject({
      status: 409,
      body: { error: { code: 'idempotency_conflict' } },
    });
    const other = await answer(
      post(`${base}/api/jobs`, { prompt: 'a barn' }, { 'idempotency-key': 'x'.repeat(300) }),
    );
    expect(other.status).toBe(400);
  });

  test('are free again when the job was not accepted', async () => {
    const { engine, base } = await serve();
    engine.onSubmit = () => {
      throw new DeepCacheError('ERR_DEEPCACHE_BUSY', 'full');
    };
    const send = () => answer(post(`${base}/api/jobs`, { prompt: 'a barn' }, { 'idempotency-key': 'k1' }));
    expect((await send()).status).toBe(429);
    engine.onSubmit = nothing;
    expect((await send()).status).toBe(201);
  });
});

describe('finished jobs', () => {
  test('are forgotten after a while', async () => {
    const { base } = await serve({ keepSeconds: 0 });
    const stream = await post(`${base}/api/jobs`, { prompt: 'a barn' }, { accept: 'text/event-stream' });
    const events: Received[] = [];
    for await (const event of received(stream)) events.push(event);
    const { id, images } = events.at(-1)?.data ?? {};
    await until(async () => (await fetch(`${base}/api/jobs/${id}`)).status === 404);
    expect((await fetch(images[0].url)).status).toBe(404);
  });

  test('of more bytes than are kept go, the oldest first', async () => {
    const { base } = await serve({ keepBytes: 2 * 64 * 64 * 3 });
    const ids: string[] = [];
    for (let i = 0; i < 3; i++)
      ids.push((await answer(post(`${base}/api/jobs`, { prompt: 'a barn' }))).body.id);
    const found = await Promise.all(ids.map(async (id) => (await fetch(`${base}/api/jobs/${id}`)).status));
    expect(found).toEqual([404, 200, 200]);
  });
});

test('pictures are sent as base64 or data: URLs, and decide the task', async () => {
  const { engine, base } = await serve();
  const picture = new Image({ width: 8, height: 8, data: new Uint8Array(192) });
  picture.metadata = { parameters: 'a barn\nSteps: 4' };
  const bytes = await picture.toBuffer('png');
  const [text, url] = [bytes.toString('base64'), `data:image/png;base64,${bytes.toString('base64')}`];
  await answer(post(`${base}/api/jobs`, { prompt: 'a barn', image: text, strength: 0.5 }));
  await answer(post(`${base}/api/jobs`, { prompt: 'a barn', image: url, maskImage: text }));
  expect(engine.jobs.map(({ request }) => request.task)).toEqual(['image-to-image', 'inpaint']);
  const [{ request }] = engine.jobs as [FakeJob];
  const { image, strength } = request.options as { image: Uint8Array; strength: number };
  expect(strength).toBe(0.5);
  expect((await readSettings(image)).prompt).toBe('a barn');
});

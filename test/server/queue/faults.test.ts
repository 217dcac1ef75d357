import { expect, test } from '@jest/globals';
import { answer, post, type Received, received, until } from '../http/serving.js';
import { describeQueue } from './describe-queue.js';
import { Link } from './link.js';
import { endAll, front, worker, workerProcess } from './machines.js';
import { sharedRedis } from './shared-redis.js';

// What goes wrong while jobs run: no accepted job is lost, and none is delivered twice.

/** Seconds, of steps that are told one by one: what goes wrong after some of them comes long before the last. */
const STEPS = 200;
const RUN = {
  prompt: 'a red barn',
  steps: STEPS,
  scheduler: 'DDIM',
  width: 128,
  height: 128,
  seed: 3,
  detach: true,
};

const LIMITS = { limits: { steps: 900 } };
/**
 * Others take the jobs of such a worker soon. On a busy machine they may do so though it lives: then there is one more attempt,
 * which counts as any other.
 */
const SHORT_LOCK = { lockSeconds: 2, maxAttempts: 100 };

const shared = sharedRedis();

const jobOf = async (base: string, id: string) => (await answer(fetch(`${base}/api/jobs/${id}`))).body;
const handIn = async (base: string, body: object = RUN) => {
  const accepted = await answer(post(`${base}/api/jobs`, body));
  expect(accepted).toMatchObject({ status: 201 });
  return accepted.body;
};
const isIn = (base: string, id: string, state: string) =>
  until(async () => (await jobOf(base, id))?.state === state);
const attempts = async (id: string) => Number(await shared.client.hget(`{deepcache}:job:${id}`, 'attempts'));
const inRun = (base: string, id: string) =>
  until(async () => ((await jobOf(base, id))?.progress?.call ?? 0) >= 3);

/** Listens to a job to its end; its numbers must have no gap and no double. */
async function listen(base: string, id: string): Promise<Received[]> {
  const all: Received[] = [];
  for await (const event of received(await fetch(`${base}/api/jobs/${id}/events`))) all.push(event);
  expect(all.map((event) => event.id)).toEqual(all.map((_, i) => String(i)));
  return all;
}

const begun = (all: readonly Received[]) => all.filter(({ event }) => event === 'started').length;
const ends = (all: readonly Received[]) =>
  all.filter(({ event }) => ['done', 'failed', 'cancelled'].includes(event)).map(({ event }) => event);

/** What every run of a job makes. */
async function picture(base: string, id: string): Promise<Buffer> {
  const { images } = await jobOf(base, id);
  const { pathname } = new URL(images[0].url);
  return Buffer.from(await (await fetch(base + pathname)).arrayBuffer());
}

describeQueue('faults', () => {
  test('a worker that is killed in a run: another one makes the picture, once', async () => {
    const { base } = await front(shared.server.url, LIMITS);
    const doomed = await workerProcess(shared.server.url, ['--lock-seconds', '2', '--max-attempts', '100']);
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    const { id } = await handIn(base);
    const listening = listen(base, id);
    await inRun(base, id);
    doomed.process.kill('SIGKILL');
    await doomed.ended;
    // A third of its lock is no whole number of milliseconds.
    await worker(shared.server.url, SHORT_LOCK);
    await isIn(base, id, 'done');
    const all = await listening;
    expect(ends(all)).toEqual(['done']);
    expect(begun(all)).toBeGreaterThanOrEqual(2);
    expect(await attempts(id)).toBe(begun(all));
    // It is the one of a run without a fault.
    const other = await handIn(base);
    await isIn(base, other.id, 'done');
    expect((await picture(base, id)).equals(await picture(base, other.id))).toBe(true);
  });

  test('a job whose workers die is given up in the end, in clear words', async () => {
    const { base } = await front(shared.server.url, LIMITS);
    const first = await worker(shared.server.url, { maxAttempts: 1, lockSeconds: 10 });
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    const { id } = await handIn(base, { ...RUN, steps: 900 });
    await inRun(base, id);
    // As it looks where the worker of the only attempt has died.
    await shared.client.hset(`{deepcache}:job:${id}`, 'fence', 'of a dead one');
    await shared.client.del(`{deepcache}:run-tiny:${id}:lock`);
    await isIn(base, id, 'failed');
    expect((await jobOf(base, id)).error).toEqual({
      code: 'ERR_DEEPCACHE_WORKER_LOST',
      message: expect.stringContaining('was begun as often as it may'),
    });
    await until(() => first.running === 0);
  });

  test('Redis is killed in a run and starts again from its log', async () => {
    const { base } = await front(shared.server.url, LIMITS);
    await worker(shared.server.url, { ...SHORT_LOCK, places: 1 });
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    const jobs = [await handIn(base), await handIn(base, { ...RUN, seed: 4 })].map(({ id }) => id as string);
    const [id = ''] = jobs;
    const listening = listen(base, id);
    await inRun(base, id);
    await shared.server.kill();
    await until(async () => (await fetch(`${base}/readyz`)).status === 503);
    const refused = await answer(post(`${base}/api/jobs`, RUN));
    expect([refused.status, refused.body.error.code, refused.headers.get('retry-after')]).toEqual([
      ...[503, 'queue_unavailable', '5'],
    ]);
    expect((await fetch(`${base}/api/jobs/${id}`)).status).toBe(503);
    expect((await fetch(`${base}/v1/models`)).status).toBe(200);
    await shared.server.restart();
    for (const one of jobs) await isIn(base, one, 'done');
    expect(ends(await listening)).toEqual(['done']);
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
  });

  test('a worker that is cut off comes back too late, and changes nothing', async () => {
    const { base } = await front(shared.server.url, LIMITS);
    const link = await Link.to(shared.server.port);
    try {
      const lonely = await worker(link.url, SHORT_LOCK);
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      const { id } = await handIn(base);
      const listening = listen(base, id);
      await inRun(base, id);
      link.cut();
      await worker(shared.server.url, SHORT_LOCK);
      await isIn(base, id, 'done');
      const before = await shared.client.hgetall(`{deepcache}:job:${id}`);
      const pictures = await shared.client.keys('{deepcache}:picture:*');
      link.mend();
      await until(() => lonely.running === 0);
      expect(await shared.client.hgetall(`{deepcache}:job:${id}`)).toEqual(before);
      expect(await shared.client.keys('{deepcache}:picture:*')).toEqual(pictures);
      const all = await listening;
      expect(ends(all)).toEqual(['done']);
      expect(begun(all)).toBeGreaterThanOrEqual(2);
      expect(await attempts(id)).toBe(begun(all));
      // It works again.
      const next = await handIn(base, { ...RUN, seed: 8 });
      await isIn(base, next.id, 'done');
    } finally {
      await endAll();
      link.close();
    }
  });

  test('a slow line loses no event and changes no order', async () => {
    const link = await Link.to(shared.server.port);
    try {
      link.delay = 60;
      const { base } = await front(link.url, LIMITS);
      await worker(link.url);
      await until(async () => (await fetch(`${base}/readyz`)).status === 200);
      const { id } = await handIn(base);
      const all = await listen(base, id);
      expect(all.map(({ event }) => event)).toEqual([
        ...['queued', 'started', ...Array(STEPS).fill('step'), 'done'],
      ]);
      expect(all.slice(2, -1).map(({ data }) => data.call)).toEqual(
        Array.from({ length: STEPS }, (_, i) => i + 1),
      );
      expect(await attempts(id)).toBe(1);
    } finally {
      await endAll();
      link.close();
    }
  });

  test('a worker that is asked to end finishes what it can, and gives back the rest unharmed', async () => {
    const { base } = await front(shared.server.url, LIMITS);
    const patient = await workerProcess(shared.server.url, ['--finish-seconds', '900']);
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    const first = await handIn(base);
    await inRun(base, first.id);
    patient.process.kill('SIGTERM');
    expect(await patient.ended).toBe(0);
    expect(await jobOf(base, first.id)).toMatchObject({ state: 'done' });

    const hasty = await workerProcess(shared.server.url, ['--finish-seconds', '0']);
    const second = await handIn(base);
    await inRun(base, second.id);
    hasty.process.kill('SIGTERM');
    expect(await hasty.ended).toBe(0);
    expect(await jobOf(base, second.id)).toMatchObject({ state: 'queued', position: 1 });
    expect(await attempts(second.id)).toBe(0);
    await worker(shared.server.url);
    await isIn(base, second.id, 'done');
    const all = await listen(base, second.id);
    expect(all.map(({ event }) => event).filter((event) => event !== 'step')).toEqual([
      ...['queued', 'started', 'queued', 'started', 'done'],
    ]);
    expect(await attempts(second.id)).toBe(1);
  });

  test('a server that starts anew has lost nothing that was accepted', async () => {
    const one = await front(shared.server.url, LIMITS);
    await worker(shared.server.url, { places: 1 });
    await until(async () => (await fetch(`${one.base}/readyz`)).status === 200);
    const { detach: _, ...attached } = RUN;
    const stream = await post(`${one.base}/api/jobs`, attached, { accept: 'text/event-stream' });
    const seen: Received[] = [];
    let closing: Promise<void> | undefined;
    // Its stream ends with the server, at once: the shared.client comes back elsewhere.
    for await (const event of received(stream)) {
      seen.push(event);
      if (event.event === 'step') closing ??= one.server.close();
    }
    await closing;
    const last = seen.at(-1);
    expect(last?.event).toBe('step');
    const two = await front(shared.server.url, LIMITS);
    const id = seen[0]?.data.id;
    const rest: Received[] = [];
    const again = await fetch(`${two.base}/api/jobs/${id}/events`, {
      headers: { 'last-event-id': last?.id ?? '' },
    });
    for await (const event of received(again)) rest.push(event);
    expect([...seen, ...rest].map((event) => event.id)).toEqual(
      Array.from({ length: STEPS + 3 }, (__, i) => String(i)),
    );
    expect(ends(rest)).toEqual(['done']);
    // Who waits on the line gets the answer first.
    const three = await front(shared.server.url, { ...LIMITS, closeSeconds: 900 });
    const { prompt, steps, scheduler } = RUN;
    const call = answer(
      post(`${three.base}/v1/images/generations`, { prompt, steps, scheduler, size: '128x128' }),
    );
    await until(async () => (await shared.client.zcard('{deepcache}:running')) === 1);
    await three.server.close();
    expect((await call).status).toBe(200);
  });
});

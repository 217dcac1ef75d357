import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Tensor } from '../../lib/index.js';
import { ImageEngine, type Job, type JobEvent, type JobRequest } from '../../lib/server/engine/index.js';
import { FOLDER, LATENT, loadTiny, numbersOf, rejection, sameBits } from '../pipelines/tiny.js';

let engine: ImageEngine;
beforeEach(() => {
  engine = new ImageEngine({ models: { tiny: { model: FOLDER, device: 'cpu' } }, log: () => {} });
});
afterEach(() => engine.close());

const request = (options: object = {}, rest: Partial<JobRequest> = {}): JobRequest => ({
  model: 'tiny',
  task: 'text-to-image',
  options: { prompt: 'a lighthouse', steps: 4, seed: 1, output: 'latent', ...options },
  ...rest,
});

/** All events of a job, until it ends. */
async function eventsOf(job: Job, from?: number): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of job.events(from)) events.push(event);
  return events;
}

const typesOf = (events: readonly JobEvent[]) => events.map(({ type }) => type);

/** Resolves when the job has made a call. */
async function begun(job: Job): Promise<void> {
  for await (const { type } of job.events()) if (type === 'step') return;
  throw new Error('the job ended without a step');
}

const long = { steps: 999, width: 256, height: 256 };

describe('a job', () => {
  test('makes what its pipeline makes, and tells of its steps', async () => {
    await using pipe = await loadTiny();
    const options = { prompt: 'a lighthouse', steps: 4, seed: 1, output: 'latent' } as const;
    const alone = numbersOf(await pipe.generate(options));
    const job = await engine.submit(request({}, { previewEvery: 2 }));
    const events = await eventsOf(job);
    expect(sameBits(numbersOf(await job.result), alone)).toBe(true);
    expect(typesOf(events)).toEqual(['queued', 'started', 'step', 'step', 'step', 'step', 'step', 'done']);
    expect(events[2]).toMatchObject({ step: 1, steps: 4, call: 1, calls: 5, kind: 'full' });
    expect(job.state).toBe('done');
    expect(typesOf(await eventsOf(job, 6))).toEqual(['step', 'done']);
    // Who comes late has the last preview alone.
    const previews = (await eventsOf(job)).map((event) => 'preview' in event && event.preview !== undefined);
    expect(previews.indexOf(true)).toBe(5);
    expect(previews.filter(Boolean)).toHaveLength(1);
  });

  test('gives bit for bit the same beside others', async () => {
    const requests = [1, 2, 3, 4, 5].map((seed) =>
      request({
        seed,
        steps: 3 + seed,
        cache: seed % 2 ? { interval: 3 } : false,
        ...(seed === 4 && { guidanceScale: 1 }),
        ...(seed === 5 && { width: 128 }),
      }),
    );
    await using pipe = await loadTiny();
    const alone: Float32Array[] = [];
    for (const { options } of requests) alone.push(numbersOf(await pipe.generate(options as never)));
    const jobs = await Promise.all(requests.map((one) => engine.submit(one)));
    for (const [i, job] of jobs.entries())
      expect(sameBits(numbersOf(await job.result), alone[i] as Float32Array)).toBe(true);
  });

  test('starts from a picture and a mask', async () => {
    const tensor = (channels: number): Tensor => ({
      data: new Float32Array(channels * 64 * 64).fill(0.5),
      shape: [1, channels, 64, 64],
    });
    const image = tensor(3);
    const jobs = [
      await engine.submit(request({ image }, { task: 'image-to-image' })),
      await engine.submit(request({ image, maskImage: tensor(1) }, { task: 'inpaint' })),
    ];
    for (const job of jobs) expect(numbersOf(await job.result)).toHaveLength(LATENT);
  });

  test.each([
    [request({ steps: 0 }), 'ERR_DEEPCACHE_INVALID_ARGUMENT', 'steps'],
    [request({ stepz: 3 }), 'ERR_DEEPCACHE_INVALID_ARGUMENT', 'did you mean steps?'],
    [request({ onStep: () => {} }), 'ERR_DEEPCACHE_INVALID_ARGUMENT', 'onStep is not an option of a job'],
    [
      request({}, { model: 'other' }),
      'ERR_DEEPCACHE_INVALID_ARGUMENT',
      'model "other" is not here; there are tiny',
    ],
    [request({}, { task: 'video' as never }), 'ERR_DEEPCACHE_INVALID_ARGUMENT', 'task must be one of'],
    [request({}, { task: 'image-to-image' }), 'ERR_DEEPCACHE_INVALID_ARGUMENT', 'image is missing'],
    [request({ image: 'no/such.png' }, { task: 'image-to-image' }), 'ERR_DEEPCACHE_IMAGE', 'no/such.png'],
    [request({}, { deadline: new Date('never') }), 'ERR_DEEPCACHE_INVALID_ARGUMENT', 'deadline'],
    [{ ...request(), modle: 1 } as never, 'ERR_DEEPCACHE_INVALID_ARGUMENT', 'did you mean model?'],
  ])('is refused for what is wrong with it before it waits (%#)', async (bad, code, message) => {
    expect(await rejection(engine.submit(bad))).toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    expect(engine.stats()).toMatchObject({ queued: 0, running: 0 });
  });

  test('fails for itself', async () => {
    const bad = request({ latents: { data: new Float32Array(LATENT).fill(3e38), shape: [1, 4, 8, 8] } });
    const [wrong, right] = [await engine.submit(bad), await engine.submit(request())];
    expect(await rejection(wrong.result)).toMatchObject({ code: 'ERR_DEEPCACHE_NOT_FINITE' });
    expect(typesOf(await eventsOf(wrong)).at(-1)).toBe('failed');
    expect(numbersOf(await right.result)).toHaveLength(LATENT);
    expect(engine.stats()).toMatchObject({ done: 1, failed: 1, cancelled: 0 });
  });
});

test('tells of its device: what is loaded, the memory that is left, the time of passes', async () => {
  expect(engine.devices()).toEqual([]);
  await (await engine.submit(request())).result;
  const [device, ...others] = engine.devices();
  expect(others).toEqual([]);
  expect(device).toMatchObject({ device: 'cpu', models: ['tiny'] });
  expect(device?.available).toBeGreaterThan(2 ** 20);
  expect(device?.seconds).toBeGreaterThan(0);
});

describe('cancelling', () => {
  test('stops a running job and leaves the others', async () => {
    const [one, other] = [await engine.submit(request(long)), await engine.submit(request({ steps: 30 }))];
    await begun(one);
    one.cancel();
    expect(await rejection(one.result)).toMatchObject({ code: 'ERR_DEEPCACHE_ABORTED' });
    expect(one.state).toBe('cancelled');
    expect(typesOf(await eventsOf(one)).at(-1)).toBe('cancelled');
    expect(numbersOf(await other.result)).toHaveLength(LATENT);
  });

  test('takes a waiting job out at once', async () => {
    await engine.close();
    engine = new ImageEngine({ models: { tiny: FOLDER }, maxRunning: 1, maxQueued: 2, log: () => {} });
    const running = await engine.submit(request(long));
    const waiting = await engine.submit(request());
    const last = await engine.submit(request());
    expect([running.position, waiting.position, last.position]).toEqual([0, 1, 2]);
    expect(await rejection(engine.submit(request()))).toMatchObject({ code: 'ERR_DEEPCACHE_BUSY' });
    waiting.cancel();
    expect([waiting.state, last.position]).toEqual(['cancelled', 1]);
    expect(typesOf(await eventsOf(waiting))).toEqual(['queued', 'cancelled']);
    running.cancel();
    expect(numbersOf(await last.result)).toHaveLength(LATENT);
  });
});

describe('closing', () => {
  test('finishes what was accepted, when it should', async () => {
    const jobs = [await engine.submit(request()), await engine.submit(request({ seed: 2 }))];
    await engine.close({ finish: true });
    expect(jobs.map(({ state }) => state)).toEqual(['done', 'done']);
    expect(await rejection(engine.submit(request()))).toMatchObject({ code: 'ERR_DEEPCACHE_DISPOSED' });
  });

  test('cancels it otherwise', async () => {
    const job = await engine.submit(request(long));
    await engine.close();
    expect(job.state).toBe('cancelled');
  });
});

test('ended jobs are found for a while', async () => {
  await engine.close();
  engine = new ImageEngine({ models: { tiny: FOLDER }, maxEnded: 1, log: () => {} });
  const [first, second] = [await engine.submit(request()), await engine.submit(request())];
  await Promise.all([first.result, second.result]);
  await new Promise(setImmediate);
  expect([first, second].map(({ id }) => engine.job(id) !== undefined).sort()).toEqual([false, true]);
});

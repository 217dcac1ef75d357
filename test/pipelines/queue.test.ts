import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StableDiffusionImg2ImgPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { latentsOf, loadTiny, rejection } from './tiny.js';

// The line of calls that a pipeline has, and how they leave it.

const DISPOSED = { code: 'ERR_DEEPCACHE_DISPOSED' };
const long = { prompt: 'a', width: 512, height: 512, steps: 500 } as const;

/** A run that goes on until it is stopped; resolves at its first step. */
async function longRun(pipe: StableDiffusionPipeline) {
  const controller = new AbortController();
  let outcome: Promise<unknown> = Promise.resolve();
  await new Promise<void>((resolve) => {
    outcome = rejection(pipe.generate({ ...long, signal: controller.signal, onStep: () => resolve() }));
  });
  const stop = async () => {
    controller.abort(new Error('enough'));
    expect(await outcome).toMatchObject({ message: 'enough' });
  };
  return { stop, outcome };
}

/** 'waits' unless the promise has settled. */
const now = (promise: Promise<unknown>) =>
  Promise.race([promise.catch((error) => error), new Promise((resolve) => setImmediate(resolve, 'waits'))]);

describe('a call that waits', () => {
  let pipe: StableDiffusionPipeline;
  beforeAll(async () => {
    pipe = await loadTiny();
  });
  afterAll(() => pipe.dispose());

  test('is rejected at once when it is aborted, and leaves the line', async () => {
    const { stop } = await longRun(pipe);
    const controllers = [0, 1, 2].map(() => new AbortController());
    const waiting = controllers.map(({ signal }) => latentsOf(pipe, { signal }));
    expect(pipe.pending).toBe(4);
    controllers[1]?.abort('mine');
    expect(await now(waiting[1] as Promise<unknown>)).toBe('mine');
    expect(await now(waiting[0] as Promise<unknown>)).toBe('waits');
    expect(pipe.pending).toBe(3);
    await stop();
    expect((await Promise.all([waiting[0], waiting[2]])).map((latents) => latents?.length)).toEqual([
      256, 256,
    ]);
    expect(pipe.pending).toBe(0);
  });

  test('aborted before the call never gets in line', async () => {
    const { stop } = await longRun(pipe);
    const late = latentsOf(pipe, { signal: AbortSignal.abort('before') });
    expect(await now(late)).toBe('before');
    expect(await now(pipe.warmup({ signal: AbortSignal.abort('warm') }))).toBe('warm');
    const stream = pipe.stream({ prompt: 'a', signal: AbortSignal.abort('stream') });
    expect(await now(stream.next())).toBe('stream');
    expect(await now(pipe.encodePrompt({ prompt: 'a', signal: AbortSignal.abort('text') }))).toBe('text');
    expect(pipe.pending).toBe(1);
    await stop();
  });

  test('for the model that another pipeline uses is rejected at once too', async () => {
    const other = StableDiffusionImg2ImgPipeline.from(pipe);
    const { stop } = await longRun(pipe);
    const controller = new AbortController();
    const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64, channels: 3 } as const;
    const shared = other.generate({ prompt: 'a', image, steps: 2, signal: controller.signal });
    expect(other.pending).toBe(1);
    // It has begun, and reaches the U-Net when it has its text and picture.
    await new Promise((resolve) => setTimeout(resolve, 300));
    controller.abort('shared');
    expect(await rejection(shared)).toBe('shared');
    await stop();
    await other.dispose();
    expect(await latentsOf(pipe)).toHaveLength(256);
  });

  test('is rejected at once when the pipeline is disposed of', async () => {
    const own = await loadTiny();
    const { outcome } = await longRun(own);
    const waiting = [latentsOf(own), own.warmup(), own.stream({ prompt: 'b' }).next()];
    const encoding = Array.from({ length: 20 }, () => own.encodePrompt({ prompt: 'c' }));
    const ended = Promise.allSettled([...waiting, ...encoding]);
    const disposed = own.dispose();
    for (const call of waiting) expect(await now(call)).toMatchObject(DISPOSED);
    await disposed;
    expect(await outcome).toMatchObject(DISPOSED);
    for (const result of (await ended).slice(3)) {
      // One of them may have been done.
      if (result.status === 'rejected') expect(result.reason).toMatchObject(DISPOSED);
    }
    expect(own.pending).toBe(0);
  });
});

describe('maxPending', () => {
  test('refuses calls beyond it, and takes them again later', async () => {
    const pipe = await loadTiny({ maxPending: 2 });
    expect(pipe.maxPending).toBe(2);
    const { stop } = await longRun(pipe);
    const second = latentsOf(pipe);
    const busy = { code: 'ERR_DEEPCACHE_BUSY' };
    expect(await rejection(latentsOf(pipe))).toMatchObject(busy);
    expect(await rejection(pipe.encodePrompt({ prompt: 'a' }))).toMatchObject(busy);
    expect(await rejection(pipe.warmup())).toMatchObject(busy);
    expect(await rejection(pipe.stream({ prompt: 'a' }).next())).toMatchObject(busy);
    pipe.maxPending = 3;
    const third = latentsOf(pipe);
    expect(StableDiffusionImg2ImgPipeline.from(pipe).maxPending).toBe(3);
    await stop();
    expect((await Promise.all([second, third])).map(({ length }) => length)).toEqual([256, 256]);
    await pipe.dispose();
  });

  test.each([0, -1, 1.5, Number.NaN, '2', null])('%p is refused', async (value) => {
    const bad = { code: 'ERR_DEEPCACHE_INVALID_ARGUMENT', message: expect.stringContaining('maxPending') };
    if (value !== null) expect(await rejection(loadTiny({ maxPending: value as number }))).toMatchObject(bad);
    const pipe = await loadTiny();
    expect(() => {
      pipe.maxPending = value as number;
    }).toThrow(expect.objectContaining(bad));
    expect(pipe.maxPending).toBe(Number.POSITIVE_INFINITY);
    await pipe.dispose();
  });
});

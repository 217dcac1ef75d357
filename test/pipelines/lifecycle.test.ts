import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StableDiffusionPipeline } from '../../lib/index.js';
import { distance, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// Several runs and several pipelines at once, threads, and the end of a pipeline.

const DISPOSED = { code: 'ERR_DEEPCACHE_DISPOSED' };
const long = { prompt: 'a', width: 512, height: 512, steps: 500 } as const;

describe('runs at the same time', () => {
  let pipe: StableDiffusionPipeline;
  beforeAll(async () => {
    pipe = await loadTiny();
  });
  afterAll(() => pipe.dispose());

  test('take turns, and give what they give alone', async () => {
    const settings = [
      { seed: 1 },
      { seed: 2, cache: { interval: 2 } },
      { seed: 3, width: 72, height: 48 },
      { seed: 4, numImages: 3, scheduler: 'Euler' },
      { seed: 5, guidanceScale: 1 },
    ];
    const alone: Float32Array[] = [];
    for (const options of settings) alone.push(await latentsOf(pipe, options));
    const order: number[] = [];
    const together = await Promise.all(
      settings.map((options, i) => latentsOf(pipe, { ...options, onStep: () => order.push(i) })),
    );
    for (const [i, latents] of together.entries())
      expect(sameBits(latents, alone[i] as Float32Array)).toBe(true);
    expect(order).toEqual([...order].sort());
  });

  test('one that fails does not stop those behind it', async () => {
    const expected = await latentsOf(pipe);
    const failing = latentsOf(pipe, {
      onStep: () => {
        throw new Error('mine');
      },
    });
    const next = latentsOf(pipe);
    await expect(failing).rejects.toThrow('mine');
    expect(sameBits(await next, expected)).toBe(true);
  });

  test('on two pipelines they run side by side', async () => {
    const other = await loadTiny();
    const expected = await latentsOf(pipe);
    const controller = new AbortController();
    const slow = pipe.generate({ ...long, signal: controller.signal });
    expect(sameBits(await latentsOf(other), expected)).toBe(true);
    controller.abort(new Error('stop'));
    await expect(slow).rejects.toThrow('stop');
    const both = await Promise.all([latentsOf(pipe), latentsOf(other), latentsOf(pipe), latentsOf(other)]);
    for (const latents of both) expect(sameBits(latents, expected)).toBe(true);
    await other.dispose();
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  });
});

describe('the same settings give the same bits', () => {
  const settings = [{}, { cache: { interval: 2, branch: 3 } }, { numImages: 2, width: 104, height: 72 }];

  test('from run to run', async () => {
    const pipe = await loadTiny();
    for (const options of settings) {
      const first = await latentsOf(pipe, options);
      for (let i = 0; i < 5; i++) expect(sameBits(await latentsOf(pipe, options), first)).toBe(true);
    }
    await pipe.dispose();
  });

  test('with 1, 2 and 3 threads', async () => {
    const results: Float32Array[][] = [];
    for (const threads of [1, 2, 3]) {
      const pipe = await loadTiny({ threads });
      const latents: Float32Array[] = [];
      for (const options of settings) latents.push(await latentsOf(pipe, options));
      results.push(latents);
      await pipe.dispose();
    }
    const [one, ...others] = results as [Float32Array[], ...Float32Array[][]];
    for (const other of others) {
      for (const [i, latents] of other.entries()) {
        expect(distance(latents, one[i] as Float32Array)).toBeLessThan(1e-6);
        expect(sameBits(latents, one[i] as Float32Array)).toBe(true);
      }
    }
  });
});

describe('dispose', () => {
  test('rejects everything afterwards, and may be called twice', async () => {
    const pipe = await loadTiny();
    await pipe.dispose();
    await pipe.dispose();
    expect(await rejection(pipe.generate({ prompt: 'a' }))).toMatchObject(DISPOSED);
    expect(await rejection(pipe.generate({ prompt: 5 } as never))).toMatchObject(DISPOSED);
    expect(await rejection(pipe.warmup())).toMatchObject(DISPOSED);
    expect(await rejection(pipe.stream({ prompt: 'a' }).next())).toMatchObject(DISPOSED);
    expect(await rejection(pipe.textEncoder.encode(new Int32Array(77), 1))).toMatchObject(DISPOSED);
    expect(
      await rejection(pipe.vae.decode({ data: new Float32Array(256), shape: [1, 4, 8, 8] })),
    ).toMatchObject(DISPOSED);
  });

  test('stops the run in progress and those that wait', async () => {
    const pipe = await loadTiny();
    let started = () => {};
    const start = new Promise<void>((resolve) => {
      started = resolve;
    });
    const running = pipe.generate({ ...long, onStep: started });
    const waiting = pipe.generate({ prompt: 'a' });
    const outcomes = [rejection(running), rejection(waiting)];
    await start;
    await pipe.dispose();
    for (const outcome of outcomes) expect(await outcome).toMatchObject(DISPOSED);
  });

  test('is what `await using` calls', async () => {
    const pipe = await loadTiny();
    expect(await latentsOf(pipe)).toHaveLength(256);
    await pipe[Symbol.asyncDispose]();
    expect(await rejection(pipe.generate({ prompt: 'a' }))).toMatchObject(DISPOSED);
  });

  test('of two at once waits for the run once', async () => {
    const pipe = await loadTiny();
    const running = rejection(pipe.generate(long));
    await Promise.all([pipe.dispose(), pipe.dispose()]);
    expect(await running).toMatchObject(DISPOSED);
  });
});

describe('loading', () => {
  test('is stopped by a signal', async () => {
    const reason = new Error('not now');
    await expect(loadTiny({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const loading = loadTiny({ signal: controller.signal });
    setTimeout(() => controller.abort(reason), 3);
    // Whoever is first: a model of this size loads in milliseconds.
    await loading.then(
      (pipe) => pipe.dispose(),
      (error) => expect(error).toBe(reason),
    );
  });

  test.each<[string, object, RegExp]>([
    ['device', { device: 'tpu' }, /device.*tpu/],
    ['device', { device: 5 }, /device/],
    ['device', { device: 5n }, /device.*got 5/],
    ['threads', { threads: Symbol('two') }, /threads.*Symbol\(two\)/],
    ['threads', { threads: Object.create(null) }, /threads.*\[object Object\]/],
    ['dtype', { dtype: Object.create(null) }, /dtype.*\[object Object\]/],
    ['maxPending', { maxPending: Object.create(null) }, /maxPending.*\[object Object\]/],
    ['threads', { threads: -1 }, /threads/],
    ['threads', { threads: 1.5 }, /threads/],
    ['threads', { threads: '2' }, /threads/],
    ['dtype', { dtype: 'fp4' }, /dtype.*fp4/],
    ['autotune', { autotune: 'yes' }, /autotune/],
    ['variant', { variant: 5 }, /variant/],
    ['unloadTextEncoder', { unloadTextEncoder: 1 }, /unloadTextEncoder.*true or false/],
    ['fitPreviews', { fitPreviews: 'yes' }, /fitPreviews.*true or false/],
    ['log', { log: 'console' }, /log/],
    ['signal', { signal: {} }, /signal/],
    ['an unknown option', { torchDtype: 'fp16' }, /torchDtype/],
  ])('%s that is not one is refused: %j', async (_name, options, message) => {
    const error = await rejection(loadTiny(options as never));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(error.message).toMatch(message);
  });
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import { staged } from '../../lib/native/staging.js';
import type { NativeVae } from '../../lib/native/types.js';
import { codeOf, denoiseRequest, fullRun, loadUnet, loadVae, noise, row } from './tiny-model.js';

// Arrays that are too large to be copied on the event loop in one go.

const INVALID = 'ERR_DEEPCACHE_INVALID_ARGUMENT';
const ABORTED = 'ERR_DEEPCACHE_ABORTED';
const SIDE = 24;
const LATENT = 4 * SIDE * SIDE;
const PIXELS = 3 * (8 * SIDE) ** 2;

let vae: NativeVae;
beforeAll(async () => {
  vae = await loadVae();
});
afterAll(() => vae.dispose());

const size = { batch: 1, height: SIDE, width: SIDE };
const generator = (seed = 7n) => new (native().Generator)(seed);
/** Bit for bit; Jest's own comparison of so many numbers takes seconds. */
const isSame = (a: ArrayBufferView, b: ArrayBufferView) => bytesOf(a).equals(bytesOf(b));
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
const floatsOf = (values: Float32Array) => {
  const floats = new (native().Floats)(values.length);
  floats.append(values);
  return floats;
};

describe('results', () => {
  test('are JavaScript’s alone: it may write to them, transfer them, and keep them', async () => {
    const own = await loadVae();
    const decode = async () => (await own.decode({ ...size, data: noise(LATENT) }).promise).data;
    const first = await decode();
    expect(first).toHaveLength(PIXELS);
    const expected = first.slice();
    first.fill(Number.NaN);
    const second = await decode();
    expect(isSame(second, expected)).toBe(true);
    expect(structuredClone(first, { transfer: [first.buffer as ArrayBuffer] })[0]).toBeNaN();
    expect(first).toHaveLength(0);
    own.dispose();
    global.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(isSame(second, expected)).toBe(true);
  });

  test('of a job that was cancelled while it waits for its array are dropped', async () => {
    const job = generator().draw(2 ** 16);
    // Long enough for the numbers, most often: then it waits for this thread.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    job.cancel();
    expect(await codeOf(job.promise)).toBe(ABORTED);
  });

  test('of many jobs at once each get their own', async () => {
    const seeds = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n];
    const drawn = await Promise.all(seeds.map((seed) => generator(seed).draw(40_000).promise));
    const isOwn = (seed: bigint, i: number) =>
      isSame(drawn[i] as Float32Array, generator(seed).randn(40_000));
    expect(seeds.map(isOwn)).toEqual(seeds.map(() => true));
  });
});

describe('a generator’s job', () => {
  test('draws the same numbers, in the order of calls', async () => {
    const [jobs, calls] = [generator(), generator()];
    const counts = [5, 100_001, 2 ** 17, 2 ** 17 + 5, 2 ** 17 + 16, 40_000];
    const drawn = await Promise.all(counts.map((count) => jobs.draw(count).promise));
    expect(drawn.map((values, i) => isSame(values, calls.randn(counts[i] as number)))).toEqual(
      counts.map(() => true),
    );
    expect(jobs.nextUint32()).toBe(calls.nextUint32());
  });

  test('has the generator to itself', async () => {
    const own = generator();
    const job = own.draw(2 ** 16);
    expect(await codeOf(() => own.randn(1))).toBe(INVALID);
    expect(await codeOf(() => own.rand(1))).toBe(INVALID);
    expect(await codeOf(() => own.nextUint32())).toBe(INVALID);
    expect(await codeOf(() => own.seed(1n))).toBe(INVALID);
    await job.promise;
    expect(own.randn(1)).toHaveLength(1);
  });

  test('takes counts only', async () => {
    expect(await codeOf(() => generator().draw(-1))).toBe(INVALID);
    expect(await codeOf(() => generator().draw(1.5))).toBe(INVALID);
  });
});

describe('Floats', () => {
  const run = (data: never) => vae.decode({ ...size, data }).promise;

  test('are a request’s array, whatever their parts', async () => {
    const values = noise(LATENT);
    const floats = new (native().Floats)(LATENT);
    for (let from = 0; from < LATENT; from += 1000) {
      const part = values.slice(from, from + 1000);
      floats.append(part);
      part.fill(Number.NaN);
    }
    expect(isSame((await run(floats as never)).data, (await run(values as never)).data)).toBe(true);
  });

  test('are a run’s noise too, whose other form is an object', async () => {
    const unet = await loadUnet();
    const values = noise(2 * 256);
    const terms = [
      { slot: 'x', coefficient: 1 },
      { slot: 'noise', coefficient: 0.5 },
    ] as const;
    const rows = [0, 1].map((i) => row(i, { noise: i, assign: [{ to: 'x', terms }] }));
    const table = { ...fullRun(2), rows };
    const latents = async (given: Float32Array) =>
      (await unet.denoise({ ...denoiseRequest(2), table, noise: given }).promise).latents;
    expect(isSame(await latents(floatsOf(values) as never), await latents(values))).toBe(true);
    unet.dispose();
  });

  test('belong to the first request that takes them', async () => {
    const floats = floatsOf(noise(LATENT));
    await run(floats as never);
    expect(await codeOf(() => run(floats as never))).toBe(INVALID);
    expect(await codeOf(() => floats.append(noise(1)))).toBe(INVALID);
  });

  test('that do not fit are left alone', async () => {
    const part = new (native().Floats)(LATENT);
    part.append(noise(LATENT - 1));
    expect(await codeOf(() => run(part as never))).toBe(INVALID);
    part.append(noise(1));
    await run(part as never);
    const other = floatsOf(noise(LATENT + 1));
    expect(await codeOf(() => run(other as never))).toBe(INVALID);
    expect(await codeOf(() => run(generator() as never))).toBe(INVALID);
  });

  test.each([
    ['more values than they hold', new Float32Array(5)],
    ['what is not a number', Float32Array.of(Number.NaN)],
    ['what is infinite', Float32Array.of(1, Number.NEGATIVE_INFINITY)],
    ['other arrays', new Float64Array(1)],
    ['numbers', 1],
  ])('refuse %s', async (_, values) => {
    const floats = new (native().Floats)(4);
    expect(await codeOf(() => floats.append(values as never))).toBe(INVALID);
    floats.append(new Float32Array(4));
  });

  test.each([-1, 1.5, 2 ** 40, '4'])('of %p values are refused', async (count) => {
    expect(await codeOf(() => new (native().Floats)(count as never))).toBe(INVALID);
  });

  test('that no memory holds are an error', async () => {
    expect(await codeOf(() => new (native().Floats)(2 ** 36))).toBe('ERR_DEEPCACHE_OUT_OF_MEMORY');
  });
});

describe('staged()', () => {
  test('leaves few values as they are, and copies many', async () => {
    const few = noise(LATENT);
    expect(await staged(few)).toBe(few);
    const data = noise(PIXELS);
    const encode = async (values: unknown) => {
      const side = { height: 8 * SIDE, width: 8 * SIDE };
      return (await vae.encode({ batch: 1, ...side, data: values as never }).promise).data;
    };
    const copy = await staged(data);
    expect(copy).not.toBe(data);
    expect(await encode(copy)).toEqual(await encode(data));
    expect(await staged(copy)).toBe(copy);
  });

  test('names what is not finite, and hears an abort', async () => {
    const values = noise(PIXELS);
    values[PIXELS - 1] = Number.NaN;
    expect(await codeOf(staged(values))).toBe(INVALID);
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(staged(new Float32Array(2 ** 24), aborted)).rejects.toThrow('enough');
  });
});

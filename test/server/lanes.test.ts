import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import type { NativeBackend } from '../../lib/native/types.js';
import type { Conductor } from '../../lib/pipelines/loop/conductor.js';
import { requireMemory } from '../../lib/pipelines/loop/memory.js';
import { ImageEngine, type Job, type JobRequest } from '../../lib/server/engine/index.js';
import { FOLDER, latentsOf, loadTiny, numbersOf, rejection, SIZE, sameBits } from '../pipelines/tiny.js';
import { until } from '../until.js';

// Models, devices and memory of an engine.

let engine: ImageEngine;
afterEach(() => engine?.close());

const request = (options: object = {}, rest: Partial<JobRequest> = {}): JobRequest => ({
  model: 'a',
  task: 'text-to-image',
  options: { prompt: 'a lighthouse', steps: 3, seed: 7, output: 'latent', ...options },
  ...rest,
});

const latents = async (job: Job) => numbersOf(await job.result);

describe('models', () => {
  test('go for others where one at most is loaded, and nobody waits for ever', async () => {
    engine = new ImageEngine({ models: { a: FOLDER, b: FOLDER, c: FOLDER }, maxLoaded: 1, log: () => {} });
    let most = 0;
    const watch = async (job: Job) => {
      for await (const _ of job.events())
        most = Math.max(most, engine.models().filter(({ loaded }) => loaded).length);
    };
    const jobs: Job[] = [];
    for (const model of ['a', 'b', 'a', 'c', 'b', 'a', 'c'])
      jobs.push(await engine.submit(request({}, { model })));
    await Promise.all(jobs.map(watch));
    const all = await Promise.all(jobs.map(latents));
    await using pipe = await loadTiny();
    const alone = await latentsOf(pipe);
    for (const one of all) expect(sameBits(one, alone)).toBe(true);
    expect(most).toBe(1);
  });

  test('one that cannot be loaded fails its own jobs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'deepcache-lanes-'));
    engine = new ImageEngine({ models: { a: FOLDER, none: join(folder, 'none') }, log: () => {} });
    expect(await rejection(engine.submit(request({}, { model: 'none' })))).toMatchObject({
      message: expect.stringContaining('none'),
    });
    expect(await latents(await engine.submit(request()))).toHaveLength(256);
    rmSync(folder, { recursive: true });
  });
});

test('devices share the jobs, and the pictures are the same', async () => {
  engine = new ImageEngine({ models: { a: FOLDER }, devices: ['cpu', 'cpu'], maxRunning: 1, log: () => {} });
  // Until they are cancelled.
  const long = request({ steps: 999, width: 256, height: 256 });
  const busy = [await engine.submit(long), await engine.submit(long)];
  const jobs: Job[] = [];
  for (let i = 0; i < 4; i++) jobs.push(await engine.submit(request()));
  expect(engine.stats()).toMatchObject({ running: 2, queued: 4 });
  // Those that wait on a busy device are taken by one that has nothing to do.
  busy[0]?.cancel();
  const all = await Promise.all(jobs.map(latents));
  expect(busy[1]?.state).toBe('running');
  busy[1]?.cancel();
  await until(() => engine.stats().running === 0);
  const both = await Promise.all([request(), request()].map((one) => engine.submit(one)));
  expect(engine.stats()).toMatchObject({ running: 2, queued: 0 });
  for (const one of [...all, ...(await Promise.all(both.map(latents)))])
    expect(sameBits(one, all[0] as Float32Array)).toBe(true);
});

test('runs with a ControlNet go side by side with others, and share nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-lanes-'));
  try {
    const controlNet = await writeControlNet(join(folder, 'net'));
    const controlImage = {
      data: new Float32Array(3 * SIZE * SIZE).map((_, i) => (i % 7) / 7),
      shape: [1, 3, SIZE, SIZE],
    };
    await using pipe = await loadTiny({ controlNet });
    const options = { controlImage, steps: 5, cache: { interval: 2 } };
    const alone = [await latentsOf(pipe, options), await latentsOf(pipe, { steps: 6 })];
    engine = new ImageEngine({ models: { a: { model: FOLDER, controlNet } }, log: () => {} });
    const jobs = [request(options), request({ steps: 6 }), request(options)];
    const submitted = await Promise.all(jobs.map((one) => engine.submit(one)));
    const made = await Promise.all(submitted.map(latents));
    for (const [i, one] of made.entries()) expect(sameBits(one, alone[i % 2] as Float32Array)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('memory', () => {
  const parts = (free: { bytes: number }) => ({
    backend: {
      reserve: (bytes: number) => (bytes <= free.bytes ? { within: () => {}, release: () => {} } : null),
      availableMemory: () => free.bytes,
    } as unknown as NativeBackend,
    unet: { memory: () => ({ weights: 0, arena: 0, buffers: 50 }) } as never,
  });
  const need = { unet: 100, vae: 20 };

  test('a run waits for that of others, and fails where nobody gives any back', async () => {
    const free = { bytes: 60 };
    let others = 1;
    let held = 0;
    let wake = () => {};
    const conductor: Conductor = {
      enter: () => {
        throw new Error('not yet');
      },
      holdMemory: () => void held++,
      memoryFreed: () =>
        others-- > 0
          ? new Promise((resolve) => {
              wake = resolve;
            })
          : undefined,
    };
    const waiting = requireMemory(parts(free), need, conductor);
    await new Promise(setImmediate);
    expect(held).toBe(0);
    free.bytes = 200;
    wake();
    await waiting;
    expect(held).toBe(1);
    free.bytes = 60;
    expect(await rejection(requireMemory(parts(free), need, conductor))).toMatchObject({
      code: 'ERR_DEEPCACHE_OUT_OF_MEMORY',
    });
    // Waiting ends with the run.
    others = 1;
    const stop = new AbortController();
    const aborted = rejection(requireMemory(parts(free), need, conductor, stop.signal));
    stop.abort(new Error('mine'));
    expect(await aborted).toMatchObject({ message: 'mine' });
  });

  test('alone a run counts on what the last one left', async () => {
    await requireMemory(parts({ bytes: 70 }), need);
    expect(await rejection(requireMemory(parts({ bytes: 60 }), need))).toMatchObject({
      code: 'ERR_DEEPCACHE_OUT_OF_MEMORY',
    });
  });
});

async function writeControlNet(net: string): Promise<string> {
  mkdirSync(net);
  const {
    up_block_types: _,
    out_channels: __,
    ...unet
  } = JSON.parse(readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'));
  const own = { _class_name: 'ControlNetModel', conditioning_embedding_out_channels: [4, 8, 12, 16] };
  const config = JSON.stringify({ ...unet, ...own });
  writeFileSync(join(net, 'config.json'), config);
  const path = join(net, 'diffusion_pytorch_model.safetensors');
  const tensors = native().weightShapes('unet', config);
  await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
  return net;
}

import { AsyncLocalStorage } from 'node:async_hooks';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { collectGarbage } from '../../bench/measure.js';
import { native } from '../../lib/native/binding.js';
import type { NativeStep, NativeUnet } from '../../lib/native/types.js';
import { until } from '../until.js';
import { backend, codeOf, denoiseRequest, loadUnet, loadVae, noise, row, source } from './tiny-model.js';

const ABORTED = 'ERR_DEEPCACHE_ABORTED';

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

/** A run of half a minute. */
const longRequest = () => denoiseRequest(1000, 64);

/** Resolves at a job's first step. */
function started(start: (onStep: () => void) => void): Promise<void> {
  return new Promise((resolve) => start(resolve));
}

/** Resolves when a decoding, which takes 100 MB or more, is under way. */
async function hasBegun(before: number): Promise<void> {
  await until(() => native().residentMemory() > before + 20e6);
}

/** Threads of this process; 0 where the system does not tell. */
function threads(): number {
  if (process.platform !== 'linux') return 0;
  return Number(/Threads:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

describe('order', () => {
  test('jobs on one object run one after the other, as they were started', async () => {
    const order: string[] = [];
    const jobs = ['a', 'b', 'c'].map((name) => {
      return unet.denoise(denoiseRequest(3), ({ row }) => order.push(`${name}${row}`)).promise;
    });
    await Promise.all(jobs);
    expect(order).toEqual(['a0', 'a1', 'a2', 'b0', 'b1', 'b2', 'c0', 'c1', 'c2']);
  });

  test('jobs on different objects run at the same time', async () => {
    const other = await loadUnet();
    let long: ReturnType<NativeUnet['denoise']> | undefined;
    await started((resolve) => {
      long = unet.denoise(longRequest(), resolve);
    });
    await other.denoise(denoiseRequest(2)).promise;
    long?.cancel();
    expect(await codeOf(long?.promise as Promise<unknown>)).toBe(ABORTED);
    other.dispose();
  });

  test('inputs are copied: changing them afterwards does no harm', async () => {
    const request = denoiseRequest(4);
    const { latents: expected } = await unet.denoise(request).promise;
    const job = unet.denoise(request);
    request.latents.fill(0);
    request.context.fill(0);
    expect((await job.promise).latents).toEqual(expected);
  });
});

describe('cancel', () => {
  test('stops a running job soon', async () => {
    let job: ReturnType<NativeUnet['denoise']> | undefined;
    await started((resolve) => {
      job = unet.denoise(longRequest(), resolve);
    });
    job?.cancel();
    expect(await codeOf(job?.promise as Promise<unknown>)).toBe(ABORTED);
  });

  test('stops a job that waits for another one', async () => {
    const long = unet.denoise(longRequest());
    const waiting = unet.denoise(denoiseRequest(2));
    const after = unet.denoise(denoiseRequest(2));
    waiting.cancel();
    expect(await codeOf(waiting.promise)).toBe(ABORTED);
    long.cancel();
    expect(await codeOf(long.promise)).toBe(ABORTED);
    expect((await after.promise).latents).toHaveLength(256);
  });

  test('means nothing to a job that has ended', async () => {
    const job = unet.denoise(denoiseRequest(1));
    await job.promise;
    job.cancel();
    job.cancel();
    expect((await unet.denoise(denoiseRequest(1)).promise).latents).toHaveLength(256);
  });

  test('50 times at random moments leaves the model as good as new', async () => {
    const { latents: expected } = await unet.denoise(denoiseRequest(20)).promise;
    const { rowMilliseconds } = await unet.denoise(denoiseRequest(20)).promise;
    const typical = rowMilliseconds.reduce((a, b) => a + b);
    const random = noise(50, 11);
    const outcomes = new Set<unknown>();
    for (const value of random) {
      const job = unet.denoise(denoiseRequest(20));
      await sleep(Math.abs(value) * typical);
      job.cancel();
      outcomes.add(await codeOf(job.promise));
    }
    // Some may have been through already.
    for (const outcome of outcomes) expect(['none', ABORTED]).toContain(outcome);
    expect((await unet.denoise(denoiseRequest(20)).promise).latents).toEqual(expected);
  });

  test('stops loading and writing', async () => {
    const load = native().loadUnet(backend, source('unet'));
    load.cancel();
    expect([ABORTED, 'none']).toContain(await codeOf(load.promise));
    const vae = await loadVae();
    const before = native().residentMemory();
    const decode = vae.decode({ data: noise(4 * 128 * 128), batch: 1, height: 128, width: 128 });
    await hasBegun(before);
    decode.cancel();
    expect(await codeOf(decode.promise)).toBe(ABORTED);
    vae.dispose();
  });
});

describe('onStep', () => {
  test('what it throws stops the run and rejects it', async () => {
    const thrown = new Error('enough');
    const rows: number[] = [];
    const job = unet.denoise(longRequest(), ({ row }) => {
      rows.push(row);
      if (row === 3) throw thrown;
    });
    await expect(job.promise).rejects.toBe(thrown);
    expect(rows).toEqual([0, 1, 2, 3]);
  });

  test('gets all rows of a run, before the promise settles', async () => {
    const steps: NativeStep[] = [];
    await unet.denoise(denoiseRequest(30), (step) => steps.push(step)).promise;
    expect(steps.map(({ row }) => row)).toEqual([...Array(30).keys()]);
    expect(steps[0]).not.toHaveProperty('x0');
  });

  test('a blocked event loop neither stops the run nor lets reports pile up', async () => {
    const steps: number[] = [];
    const job = unet.denoise(denoiseRequest(2000), ({ row }) => steps.push(row));
    const until = performance.now() + 1500;
    while (performance.now() < until);
    await job.promise;
    expect(steps.at(-1)).toBe(1999);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
  });
});

test('the event loop stays responsive while a job uses all cores', async () => {
  const job = unet.denoise(longRequest());
  const running = codeOf(job.promise);
  for (let i = 0; i < 50; i++) await sleep(5);
  // Half a minute of work is not over yet.
  job.cancel();
  expect(await running).toBe(ABORTED);
});

describe('memory', () => {
  test('is counted, and trim() gives back all but the weights', async () => {
    unet.trim(); // shapes that other tests used
    await unet.denoise(denoiseRequest(2)).promise;
    const { weights, arena, buffers } = unet.memory();
    for (const bytes of [weights, arena, buffers]) expect(bytes).toBeGreaterThan(0);
    unet.trim();
    expect(unet.memory()).toEqual({ weights, arena: 0, buffers: 0 });
    await unet.denoise(denoiseRequest(2)).promise;
    expect(unet.memory()).toEqual({ weights, arena, buffers });
  });

  test('trim() during a job takes effect after it', async () => {
    const expected = (await unet.denoise(denoiseRequest(5)).promise).latents;
    const job = unet.denoise(denoiseRequest(5));
    unet.trim();
    expect((await job.promise).latents).toEqual(expected);
    // The job's thread gives it back a moment after the promise.
    while (unet.memory().arena > 0) await sleep(5);
    expect(unet.memory()).toMatchObject({ arena: 0, buffers: 0 });
  });

  test('the feature cannot be read while a job runs', async () => {
    const job = unet.denoise(longRequest());
    expect(await codeOf(() => unet.feature(0))).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    job.cancel();
    await codeOf(job.promise);
    expect(await codeOf(() => unet.feature(0))).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
  });
});

describe('dispose', () => {
  test('cancels the jobs, running and waiting', async () => {
    const model = await loadUnet();
    let running: ReturnType<NativeUnet['denoise']> | undefined;
    await started((resolve) => {
      running = model.denoise(longRequest(), resolve);
    });
    const waiting = model.denoise(denoiseRequest(2));
    model.dispose();
    model.dispose();
    const codes = await Promise.all([codeOf(running?.promise as Promise<unknown>), codeOf(waiting.promise)]);
    expect(codes).toEqual(['ERR_DEEPCACHE_DISPOSED', 'ERR_DEEPCACHE_DISPOSED']);
    for (const use of [
      () => model.denoise(denoiseRequest(1)),
      () => model.feature(0),
      () => model.memory(),
      () => model.trim(),
    ]) {
      expect(await codeOf(use)).toBe('ERR_DEEPCACHE_DISPOSED');
    }
  });

  test('frees the memory of the weights and of the run', async () => {
    const model = await loadVae();
    const data = noise(4 * 64 * 64);
    const before = native().residentMemory();
    const held: number[] = [];
    for (let i = 0; i < 4; i++) {
      const vae = await loadVae();
      const now = native().residentMemory();
      const job = vae.decode({ data, batch: 1, height: 64, width: 64 });
      await hasBegun(now);
      vae.dispose();
      await codeOf(job.promise);
      held.push(native().residentMemory() - before);
    }
    // The arena of such a decoding is 100 MB; the process may keep a little of it for later.
    expect(held.at(-1)).toBeLessThan((held[0] as number) + 60e6);
    model.dispose();
  });

  test('a backend outlives the models that use it', async () => {
    const model = await (() => {
      const own = new (native().Backend)({ device: 'cpu', threads: 1 });
      return native().loadUnet(own, source('unet')).promise;
    })();
    const request = {
      ...denoiseRequest(1),
      table: { programs: [{ kind: 'full' as const }], rows: [row(0)] },
    };
    expect((await model.denoise(request).promise).latents).toHaveLength(256);
    model.dispose();
  });
});

describe('jobs that wait', () => {
  test('have no thread, and are rejected at once when they are cancelled', async () => {
    const model = await loadUnet();
    let long: ReturnType<NativeUnet['denoise']> | undefined;
    await started((resolve) => {
      long = model.denoise(longRequest(), resolve);
    });
    const before = threads();
    const waiting = Array.from({ length: 500 }, () => model.denoise(denoiseRequest(2)));
    expect(threads()).toBeLessThanOrEqual(before);
    for (const job of waiting) job.cancel();
    const codes = await Promise.all(waiting.map((job) => codeOf(job.promise)));
    expect(new Set(codes)).toEqual(new Set([ABORTED]));
    // The one that they waited for has noticed nothing.
    expect(await Promise.race([codeOf(long?.promise as Promise<unknown>), 'runs'])).toBe('runs');
    model.dispose();
    expect(await codeOf(long?.promise as Promise<unknown>)).toBe('ERR_DEEPCACHE_DISPOSED');
  });

  test('begin in order when those before them leave, whoever is cancelled', async () => {
    const order: number[] = [];
    const jobs = Array.from({ length: 30 }, (_, i) => unet.denoise(denoiseRequest(1), () => order.push(i)));
    const cancelled = [3, 0, 29, 4, 5, 17];
    for (const i of cancelled.slice(1)) jobs[i]?.cancel();
    jobs[3]?.cancel();
    const codes = await Promise.all(jobs.map((job) => codeOf(job.promise)));
    // The first one may have been through already.
    const done = codes.flatMap((code, i) => (code === 'none' ? [i] : []));
    expect(done.filter((i) => i > 0)).toEqual(
      jobs.flatMap((_, i) => (i > 0 && !cancelled.includes(i) ? [i] : [])),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test('of many objects have a bounded number of threads', async () => {
    const before = threads();
    const loads = Array.from({ length: 150 }, () => native().loadUnet(backend, source('unet')));
    expect(threads() - before).toBeLessThanOrEqual(80);
    const models = await Promise.all(loads.map((load) => load.promise));
    for (const model of models) model.dispose();
  });
});

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('the threads of a backend', () => {
  test('end with its last model, and start again', async () => {
    const own = new (native().Backend)({ device: 'cpu', threads: 40 });
    const before = threads();
    const models = await Promise.all([1, 2].map(() => native().loadUnet(own, source('unet')).promise));
    expect(threads()).toBeGreaterThan(before + 30);
    models[0]?.dispose();
    expect(threads()).toBeGreaterThan(before + 30);
    models[1]?.dispose();
    expect(threads()).toBeLessThan(before + 10);
    const again = await native().loadUnet(own, source('unet')).promise;
    expect((await again.denoise(denoiseRequest(1)).promise).latents).toHaveLength(256);
    again.dispose();
    expect(threads()).toBeLessThan(before + 10);
  });
});

describe('threads', () => {
  test('progress is told in the context of whoever started the job', async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const run = (name: string) =>
      store.run(name, () => unet.denoise(denoiseRequest(2), () => seen.push(store.getStore())).promise);
    const runs = Promise.all([run('a'), run('b')]);
    // Whatever the garbage collector takes meanwhile.
    collectGarbage();
    await runs;
    expect(seen).toEqual(['a', 'a', 'b', 'b']);
  });

  test('of jobs and of the pool go behind the event loop: lower priority, and slices that it interrupts', async () => {
    const own = slices().get(process.pid);
    // Linux 6.12, when it tells of them at all; and nothing is to be seen of a process that is far behind itself.
    if (!own?.slice || own.policy !== 0 || (own.nice >= 5 && own.slice >= 20)) return;
    const before = new Set(slices().keys());
    let job: ReturnType<NativeUnet['denoise']> | undefined;
    await started((resolve) => {
      job = unet.denoise(longRequest(), resolve);
    });
    const computing = [...slices()].filter(
      ([id, { nice, slice }]) => !before.has(id) && (nice > own.nice || slice > own.slice),
    );
    job?.cancel();
    await codeOf(job?.promise as Promise<unknown>);
    expect(computing.length).toBeGreaterThan(0);
    for (const [, { slice, nice }] of computing) {
      expect(nice).toBe(Math.max(own.nice, 5));
      if (own.slice < 20) expect(slice).toBe(20);
    }
  });
});

/** Of this process's threads, by their numbers: what the scheduler of Linux says, slices in milliseconds. */
function slices(): Map<number, { slice: number; nice: number; policy: number }> {
  const found = new Map<number, { slice: number; nice: number; policy: number }>();
  if (process.platform !== 'linux') return found;
  for (const id of readdirSync('/proc/self/task')) {
    try {
      const text = readFileSync(`/proc/self/task/${id}/sched`, 'utf8');
      const value = (name: string) => Number(new RegExp(`^${name}\\s*:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
      found.set(Number(id), {
        slice: value('se.slice') / 1e6,
        nice: value('prio') - 120,
        policy: value('policy'),
      });
    } catch {
      // It has ended, or the system tells nothing.
    }
  }
  return found;
}

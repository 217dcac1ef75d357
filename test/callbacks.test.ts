import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Callbacks } from '../lib/callbacks.js';
import { compare, tune } from '../lib/entries/evaluate.js';
import { DiffusionPipeline, StableDiffusionPipeline, TextToVideoZeroPipeline } from '../lib/index.js';

const MODEL = 'test/fixtures/sd15-tiny';
const gone = new Error('socket closed');
const reject = () => Promise.reject(gone);

let pipe: StableDiffusionPipeline;
const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeAll(async () => {
  process.on('unhandledRejection', note);
  pipe = await StableDiffusionPipeline.fromPretrained(MODEL);
});
afterAll(async () => {
  await pipe.dispose();
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

const RUN = { prompt: 'a', steps: 4, scheduler: 'DDIM' } as const;

describe('a callback whose promise rejects', () => {
  test.each([1, 4])('onStep ends the run at step %i', async (at) => {
    const calls: number[] = [];
    const onStep = ({ call }: { call: number }) => {
      calls.push(call);
      return call === at ? reject() : undefined;
    };
    await expect(pipe.generate({ ...RUN, onStep })).rejects.toBe(gone);
    expect(calls.at(-1)).toBeGreaterThanOrEqual(at);
    // The pipeline stays usable.
    expect((await pipe.generate(RUN)).images).toHaveLength(1);
  });

  test('every step rejects, some of them late', async () => {
    const onStep = async ({ call }: { call: number }) => {
      if (call > 1) await new Promise((resolve) => setImmediate(resolve));
      throw gone;
    };
    await expect(pipe.generate({ ...RUN, onStep })).rejects.toBe(gone);
  });

  test('the last one that is still under way counts', async () => {
    const onStep = ({ call, calls }: { call: number; calls: number }) =>
      call < calls ? undefined : new Promise((_, fail) => setTimeout(() => fail(gone), 30));
    await expect(pipe.generate({ ...RUN, onStep })).rejects.toBe(gone);
  });

  test('in a stream', async () => {
    const read = async () => {
      for await (const _ of pipe.stream({ ...RUN, onStep: reject })) {
        // Nothing to do.
      }
    };
    await expect(read()).rejects.toBe(gone);
  });

  test('in videos', async () => {
    await using video = TextToVideoZeroPipeline.from(pipe);
    const options = { prompt: 'a', steps: 6, videoLength: 2, t0: 1, t1: 3, onStep: reject };
    await expect(video.generate(options)).rejects.toBe(gone);
  });

  test('in comparisons and searches', async () => {
    const options = { prompt: 'a', steps: 4 };
    await expect(compare(pipe, options, ['fast'], { onProgress: reject })).rejects.toBe(gone);
    const tuning = { prompts: ['a'], validationPrompts: ['b'], maxRuns: 3, onProgress: reject };
    await expect(tune(pipe, { steps: 10 }, { speedup: 1.5 }, tuning)).rejects.toBe(gone);
  });

  test('log ends loading', async () => {
    const { cpSync, mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const folder = mkdtempSync(`${tmpdir()}/deepcache-log-`);
    cpSync(MODEL, folder, { recursive: true });
    writeFileSync(`${folder}/generation_config.json`, '{"colour":1}');
    await expect(DiffusionPipeline.fromPretrained(folder, { log: reject })).rejects.toBe(gone);
    rmSync(folder, { recursive: true });
  });
});

test('promises that fulfil are waited for', async () => {
  let done = 0;
  const onStep = async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    done++;
  };
  await pipe.generate({ ...RUN, onStep });
  expect(done).toBe(4);
});

test('an abort ends the wait for a promise that never settles', async () => {
  const stop = new AbortController();
  const onStep = ({ call, calls }: { call: number; calls: number }) => {
    if (call < calls) return undefined;
    setTimeout(() => stop.abort(gone), 30);
    return new Promise(() => {});
  };
  await expect(pipe.generate({ ...RUN, onStep, signal: stop.signal })).rejects.toBe(gone);
});

test('nor does one of an earlier step outlive an abort, and the calls behind it run', async () => {
  const stop = new AbortController();
  const onStep = ({ call, calls }: { call: number; calls: number }) => {
    if (call === calls) stop.abort(gone);
    return call === 1 ? new Promise(() => {}) : undefined;
  };
  const run = pipe.generate({ ...RUN, onStep, signal: stop.signal });
  const next = pipe.generate(RUN);
  await expect(run).rejects.toBe(gone);
  await next;
});

test('what is thrown, even nothing, is what the run rejects with', async () => {
  const onStep = () => {
    throw undefined;
  };
  await expect(pipe.generate({ ...RUN, onStep })).rejects.toBeUndefined();
});

test('Callbacks calls nothing after a failure', () => {
  const failures: unknown[] = [];
  const callbacks = new Callbacks((error) => failures.push(error));
  let calls = 0;
  for (let i = 0; i < 3; i++) {
    callbacks.run(() => {
      calls++;
      throw gone;
    });
  }
  expect([calls, failures]).toEqual([1, [gone]]);
  expect(() => callbacks.throwIfFailed()).toThrow(gone);
});

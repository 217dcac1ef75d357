import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { GenerateOptions, StableDiffusionPipeline, StepEvent, StreamEvent } from '../../lib/index.js';
import { latentsOf, loadTiny, numbersOf, rejection, sameBits } from './tiny.js';

// A run as it goes: its steps, how it is stopped, and that nothing is left of a run that was.

let pipe: StableDiffusionPipeline;
let expected: Float32Array;
beforeAll(async () => {
  pipe = await loadTiny();
  expected = await latentsOf(pipe);
});
afterAll(() => pipe.dispose());

const run = { prompt: 'a lighthouse', steps: 5, seed: 7, scheduler: 'DDIM', output: 'latent' } as const;
/** A run of about a minute. */
const long = { ...run, width: 512, height: 512, steps: 500 } as const;

const stillWorks = async () => expect(sameBits(await latentsOf(pipe), expected)).toBe(true);

async function eventsOf(options: Partial<GenerateOptions>): Promise<StepEvent[]> {
  const events: StepEvent[] = [];
  await pipe.generate({ ...run, ...(options as object), onStep: (event) => events.push(event) });
  return events;
}

describe('onStep', () => {
  test('is called after each U-Net call, with its kind and timestep', async () => {
    const events = await eventsOf({ cache: { interval: 2 } });
    expect(events.map(({ call }) => call)).toEqual([1, 2, 3, 4, 5]);
    expect(events.map(({ full }) => full)).toEqual([true, false, true, false, true]);
    expect(events.map(({ timestep }) => timestep)).toEqual([801, 601, 401, 201, 1]);
    for (const event of events) {
      expect(event.calls).toBe(5);
      expect(event.seconds).toBeGreaterThan(0);
      expect(event).not.toHaveProperty('preview');
      expect(event).not.toHaveProperty('latents');
    }
  });

  test('counts calls, not the steps of the sampler', async () => {
    const events = await eventsOf({ scheduler: 'PNDM' });
    expect(events).toHaveLength(6);
    expect(events[0]?.calls).toBe(6);
  });

  test('previewEvery gives the predicted clean latents every so many steps', async () => {
    const events = await eventsOf({ previewEvery: 2, numImages: 2 });
    expect(events.map(({ preview }) => preview !== undefined)).toEqual([false, true, false, true, false]);
    expect(events[1]?.preview?.shape).toEqual([2, 4, 8, 8]);
    expect(events[1]?.preview?.data).toHaveLength(2 * 256);
  });

  test("the last step's latents are the result, and its preview too (DDIM ends at a clean one)", async () => {
    const events: StepEvent[] = [];
    const { tensor } = await pipe.generate({
      ...run,
      scheduler: { _class_name: 'DDIMScheduler', set_alpha_to_one: true },
      previewEvery: 1,
      latentsEvery: 1,
      onStep: (event) => events.push(event),
    });
    const last = events.at(-1);
    expect(sameBits(numbersOf({ tensor: last?.latents }), numbersOf({ tensor }))).toBe(true);
    const preview = numbersOf({ tensor: last?.preview });
    for (const [i, value] of numbersOf({ tensor }).entries()) expect(preview[i]).toBeCloseTo(value, 4);
  });

  test('watching does not change the result', async () => {
    const watched = await latentsOf(pipe, { previewEvery: 1, latentsEvery: 1, onStep: () => {} });
    expect(sameBits(watched, expected)).toBe(true);
  });

  test.each([0, 2, 4])('an error thrown after call %i ends the run with that error', async (call) => {
    const thrown = new Error('enough');
    const seen: number[] = [];
    const onStep = (event: StepEvent) => {
      seen.push(event.call);
      if (event.call === call + 1) throw thrown;
    };
    await expect(pipe.generate({ ...run, onStep })).rejects.toBe(thrown);
    expect(seen).toEqual([1, 2, 3, 4, 5].slice(0, call + 1));
    await stillWorks();
  });
});

describe('signal', () => {
  test('aborted before: nothing runs, the reason is what is rejected', async () => {
    const reason = new Error('not now');
    let steps = 0;
    const signal = AbortSignal.abort(reason);
    await expect(pipe.generate({ ...run, signal, onStep: () => steps++ })).rejects.toBe(reason);
    expect(steps).toBe(0);
    await stillWorks();
  });

  test('aborted at a step: the run ends soon', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const onStep = ({ call }: StepEvent) => {
      if (call === 2) controller.abort(reason);
    };
    await expect(pipe.generate({ ...long, signal: controller.signal, onStep })).rejects.toBe(reason);
    await stillWorks();
  });

  test('aborted without a reason: an AbortError, as everywhere in the platform', async () => {
    const controller = new AbortController();
    const running = pipe.generate({ ...long, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    expect(await rejection(running)).toMatchObject({ name: 'AbortError' });
    await stillWorks();
  });

  test('AbortSignal.timeout', async () => {
    const error = await rejection(pipe.generate({ ...long, signal: AbortSignal.timeout(50) }));
    expect(error).toMatchObject({ name: 'TimeoutError' });
    await stillWorks();
  });

  test('aborted while decoding', async () => {
    const controller = new AbortController();
    const onStep = ({ call, calls }: StepEvent) => {
      if (call === calls) setTimeout(() => controller.abort(), 20);
    };
    const big = { ...run, output: 'image', width: 1024, height: 1024, steps: 1 } as const;
    const error = await rejection(pipe.generate({ ...big, signal: controller.signal, onStep }));
    expect(error).toMatchObject({ name: 'AbortError' });
    await stillWorks();
  });

  test('aborted after the end: nothing happens', async () => {
    const controller = new AbortController();
    const { tensor } = await pipe.generate({ ...run, signal: controller.signal });
    controller.abort();
    await sleep(10);
    expect(tensor?.data.every(Number.isFinite)).toBe(true);
    await stillWorks();
  });

  test('stops a run that waits for its turn, and leaves the one before alone', async () => {
    const first = pipe.generate(run);
    const controller = new AbortController();
    const second = pipe.generate({ ...run, signal: controller.signal });
    const third = pipe.generate(run);
    controller.abort(new Error('second'));
    await expect(second).rejects.toThrow('second');
    expect(sameBits(numbersOf(await first), numbersOf(await third))).toBe(true);
  });

  test('30 times at random moments', async () => {
    const options = { prompt: 'a', steps: 10, seed: 1, cache: { interval: 2 } } as const;
    const { stats } = await pipe.generate(options);
    for (let i = 0; i < 30; i++) {
      const controller = new AbortController();
      const running = pipe.generate({ ...options, signal: controller.signal });
      // Golden-ratio steps: all moments of a run are met, in no order.
      await sleep(((i * 0.618) % 1) * 1000 * stats.times.total);
      controller.abort(i);
      await running.catch((reason) => expect(reason).toBe(i));
    }
    await stillWorks();
  });
});

describe('stream', () => {
  test('yields the steps, then the result', async () => {
    const events: StreamEvent[] = [];
    for await (const event of pipe.stream({ ...run, cache: { interval: 2 } })) events.push(event);
    expect(events.map(({ type }) => type)).toEqual([...Array(5).fill('step'), 'result']);
    expect(events.slice(0, 5).map((event) => event.type === 'step' && event.full)).toEqual([
      true,
      false,
      true,
      false,
      true,
    ]);
    const last = events.at(-1);
    const { tensor } = await pipe.generate({ ...run, cache: { interval: 2 } });
    if (last?.type !== 'result') throw new Error('the last event is no result');
    expect(sameBits(numbersOf(last), numbersOf({ tensor }))).toBe(true);
  });

  test('onStep is called too', async () => {
    const calls: number[] = [];
    for await (const _ of pipe.stream({ ...run, onStep: ({ call }) => calls.push(call) }));
    expect(calls).toEqual([1, 2, 3, 4, 5]);
  });

  test('leaving the loop stops the run', async () => {
    let last = 0;
    const onStep = ({ call }: StepEvent) => {
      last = call;
    };
    for await (const event of pipe.stream({ ...long, onStep })) {
      if (event.type === 'step' && event.call === 2) break;
    }
    expect(last).toBeLessThan(long.steps);
    await stillWorks();
  });

  test('an error in the loop stops the run and comes out', async () => {
    const work = async () => {
      for await (const _ of pipe.stream(long)) throw new Error('mine');
    };
    await expect(work()).rejects.toThrow('mine');
    await stillWorks();
  });

  test('a slow reader misses nothing', async () => {
    const calls: number[] = [];
    for await (const event of pipe.stream(run)) {
      await sleep(20);
      if (event.type === 'step') calls.push(event.call);
    }
    expect(calls).toEqual([1, 2, 3, 4, 5]);
  });

  test.each<[string, object, object]>([
    ['bad options', { prompt: 5 }, { code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }],
    ['an onStep that is no function', { onStep: 5 }, { code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }],
    ['a signal that is none', { signal: {} }, { code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }],
    ['an abort', { signal: AbortSignal.abort(new Error('stop')) }, { message: 'stop' }],
  ])('%s: the loop throws', async (_name, options, error) => {
    const work = async () => {
      for await (const _ of pipe.stream({ ...run, ...options } as GenerateOptions));
    };
    expect(await rejection(work())).toMatchObject(error);
    await stillWorks();
  });

  test('without options it throws like generate', async () => {
    const work = async () => {
      for await (const _ of pipe.stream(undefined as unknown as GenerateOptions));
    };
    expect(await rejection(work())).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  });
});

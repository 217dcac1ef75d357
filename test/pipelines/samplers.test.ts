import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Scheduler } from '../../lib/entries/schedulers.js';
import {
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
  type StepEvent,
} from '../../lib/index.js';
import { distance, latentSchedulerNames, latentsOf, loadTiny, rejection, SIZE, untyped } from './tiny.js';

// Every sampler with what a pipeline can do: start from a picture, keep parts of it, leave calls to the cache, show
// what it sees.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

const picture = {
  data: Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => (i * 7) % 256),
  width: SIZE,
  height: SIZE,
  channels: 3 as const,
};
const mask = {
  data: Uint8Array.from({ length: SIZE * SIZE }, (_, i) => (i % SIZE < SIZE / 2 ? 255 : 0)),
  width: SIZE,
  height: SIZE,
  channels: 1 as const,
};

/** Steps of which half are run: all that every sampler takes. */
const STEPS = 8;

const finite = (values: Float32Array) => values.length > 0 && values.every(Number.isFinite);

/** U-Net calls of `steps` steps. */
const callsOf = (scheduler: string, steps: number) =>
  Scheduler.fromConfig(pipe.scheduler, { _class_name: scheduler }).compile({ steps }).rows.length;

describe.each(latentSchedulerNames())('%s', (scheduler) => {
  test('starts from a picture', async () => {
    const img2img = StableDiffusionImg2ImgPipeline.from(pipe);
    const run = (strength: number) =>
      latentsOf(img2img, { image: picture, steps: STEPS, strength, scheduler });
    const [half, most] = [await run(0.5), await run(0.9)];
    expect(finite(half)).toBe(true);
    expect(distance(half, most)).toBeGreaterThan(1e-4);
  });

  test('repaints a part of one', async () => {
    const inpaint = StableDiffusionInpaintPipeline.from(pipe);
    const latents = await latentsOf(inpaint, {
      ...{ image: picture, maskImage: mask, steps: STEPS, strength: 0.9 },
      scheduler,
    });
    expect(finite(latents)).toBe(true);
  });

  test('leaves calls to the cache, and shows what it sees', async () => {
    const events: StepEvent[] = [];
    const cached = await latentsOf(pipe, {
      ...{ steps: STEPS, scheduler, cache: { interval: 3, branch: 0 }, previewEvery: 1 },
      onStep: (event: StepEvent) => void events.push(event),
    });
    expect(events).toHaveLength(callsOf(scheduler, STEPS));
    expect(events.map(({ full }) => full)).toEqual(events.map((_, i) => i % 3 === 0));
    expect(events.every(({ preview }) => preview !== undefined)).toBe(true);
    expect(finite(cached)).toBe(true);
    const whole = await latentsOf(pipe, { steps: STEPS, scheduler });
    expect(distance(cached, whole)).toBeGreaterThan(0);
    const same = await latentsOf(pipe, { steps: STEPS, scheduler, cache: { interval: 1, branch: 0 } });
    expect(distance(same, whole)).toBeLessThan(1e-6);
  });
});

test('a sampler’s field is refused in the words of the option', async () => {
  const run = latentsOf(pipe, untyped({ scheduler: { _class_name: 'SASolver', predictor_order: 9 } }));
  expect(await rejection(run)).toMatchObject({
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
    message: expect.stringMatching(/^scheduler: SASolverScheduler: predictor_order must be/),
  });
});

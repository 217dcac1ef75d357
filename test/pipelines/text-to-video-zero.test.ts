import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type StableDiffusionPipeline,
  type TextToVideoZeroOptions,
  TextToVideoZeroPipeline,
} from '../../lib/index.js';
import { warpLatents } from '../../lib/pipelines/loop/motion.js';
import { distance, loadTiny, sameBits } from './tiny.js';

let image: StableDiffusionPipeline;
let pipe: TextToVideoZeroPipeline;
beforeAll(async () => {
  image = await loadTiny();
  pipe = TextToVideoZeroPipeline.from(image);
});
afterAll(async () => {
  await pipe.dispose();
  await image.dispose();
});

const OPTIONS = { prompt: 'a lighthouse', seed: 7, videoLength: 3, steps: 12, t0: 7, t1: 9 } as const;

async function latents(options: Partial<TextToVideoZeroOptions> = {}): Promise<Float32Array> {
  const run = { ...OPTIONS, scheduler: 'DDIM', ...options } as TextToVideoZeroOptions;
  return (await pipe.generate({ ...run, output: 'latent' })).tensor.data;
}

test('a seed makes the same video again, and every frame is another one', async () => {
  const first = await latents();
  expect(sameBits(first, await latents())).toBe(true);
  const size = first.length / 3;
  const frame = (i: number) => first.subarray(i * size, (i + 1) * size);
  expect(distance(frame(0), frame(1))).toBeGreaterThan(0);
  expect(distance(frame(1), frame(2))).toBeGreaterThan(0);
});

test.each(['DPMSolverSDE', 'DDIMInverse'] as const)('%s cannot make a video', async (scheduler) => {
  await expect(latents({ scheduler })).rejects.toMatchObject({
    code: 'ERR_DEEPCACHE_UNSUPPORTED',
    message: expect.stringMatching(
      /^scheduler: \w+Scheduler (draws along one motion|goes from pictures to noise)/,
    ),
  });
});

test('every loop begins with a full step', async () => {
  const full: boolean[] = [];
  await latents({ cache: { interval: 20 }, onStep: (event) => full.push(event.full) });
  // 2 steps of the first frame to t1, 2 to t0, then 10 of all frames.
  const firsts = full.flatMap((isFull, i) => (isFull ? [i] : []));
  expect(full).toHaveLength(14);
  expect(firsts).toEqual([0, 2, 4]);
});

test('motion moves the other frames', async () => {
  // A tiny picture has large latents: 12 of 512 pixels are less than half of one.
  const wide = await latents({ motionFieldStrengthX: 100 });
  expect(distance(wide, await latents({ motionFieldStrengthX: 0 }))).toBeGreaterThan(0);
});

test('the result holds a picture for each frame', async () => {
  const { images, seeds, stats } = await pipe.generate({ ...OPTIONS, scheduler: 'DDIM' });
  expect(images).toHaveLength(3);
  expect(seeds).toEqual([7]);
  expect(stats.calls).toBe(14);
});

test('few steps move t0 and t1, down to three', async () => {
  for (const steps of [3, 4, 10, 25]) {
    const { t0: _, t1: __, ...rest } = { ...OPTIONS, steps };
    const run = { ...rest, videoLength: 2, scheduler: 'DDIM' } as const;
    expect((await pipe.generate(run)).images).toHaveLength(2);
    expect((await pipe.generate({ ...run, t0: 0 })).images).toHaveLength(2);
  }
  await pipe.warmup({ videoLength: 2 });
});

test('fifty steps have the times of diffusers, twenty-five the same share', async () => {
  const {
    t0: _,
    t1: __,
    ...rest
  } = { ...OPTIONS, videoLength: 2, scheduler: 'DDIM', output: 'latent' } as const;
  for (const [steps, t0, t1] of [
    [50, 44, 47],
    [60, 44, 47],
    [25, 22, 23],
  ] as const) {
    const [own, told] = [
      await pipe.generate({ ...rest, steps }),
      await pipe.generate({ ...rest, steps, t0, t1 }),
    ];
    expect(own.tensor?.data).toEqual(told.tensor?.data);
  }
});

test.each<[string, Record<string, unknown>]>([
  ['steps', { steps: 2, t0: undefined, t1: undefined }],
  ['t1', { t1: 11 }],
  ['t1', { t0: 9 }],
  ['videoLength', { videoLength: 1 }],
  ['frameIds', { frameIds: [0, 1] }],
  ['seeds', { seeds: [1] }],
  ['prompt', { prompt: ['one', 'two'] }],
  ['forwardNoise', { forwardNoise: { data: new Float32Array(4), shape: [1, 1, 2, 2] } }],
])('%s is named when it is wrong: %j', async (name, wrong) => {
  const running = pipe.generate({ ...OPTIONS, scheduler: 'DDIM', ...wrong } as TextToVideoZeroOptions);
  await expect(running).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  await expect(running).rejects.toThrow(new RegExp(`^${name}`));
});

test('motion is counted in pixels of a 512 x 512 picture, and mirrored at the edge', () => {
  const row = Float32Array.from({ length: 64 }, (_, i) => i);
  const plane = { data: row, shape: [1, 1, 1, 64] };
  // Two latents of 8 pixels; the field's coordinates lie half a pixel before the pixels' centres.
  const { data } = warpLatents(plane, [{ x: 16, y: 0 }]);
  expect(Array.from(data.subarray(0, 4))).toEqual([2, 3, 4, 5]);
  expect(data[61]).toBe(63);
  expect(data[63]).toBeLessThan(63);
});

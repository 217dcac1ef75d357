import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type CacheOptions,
  StableDiffusionImg2ImgPipeline,
  type StableDiffusionPipeline,
  type StepEvent,
} from '../../lib/index.js';
import { loadTiny, sameBits } from './tiny.js';

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

async function run(cache: CacheOptions, options: object = {}, on: { generate: typeof pipe.generate } = pipe) {
  const events: StepEvent[] = [];
  const { tensor, stats, settings } = await on.generate({
    prompt: 'a red house',
    seed: 3,
    steps: 6,
    scheduler: 'DDIM',
    guidanceScale: 4,
    output: 'latent',
    ...options,
    cache,
    onStep: (event) => void events.push(event),
  });
  return {
    latents: tensor.data as Float32Array,
    stats,
    settings,
    kinds: events.map(({ kind }) => kind[0]).join(''),
  };
}

test('full and retrieved calls of a plan are those of an interval, bit for bit', async () => {
  const [none, every, interval, plan] = [
    await run(false),
    await run({ plan: 'FFFFFF' }),
    await run({ interval: 3, branch: 1 }),
    await run({ plan: 'FRRFRR', branch: 1 }),
  ];
  expect(sameBits(every.latents, none.latents)).toBe(true);
  expect(sameBits(plan.latents, interval.latents)).toBe(true);
  expect(plan.kinds).toBe('frrfrr');
});

test('predicted calls are told as such, run no U-Net and change the picture', async () => {
  const none = await run(false);
  const planned = await run({ plan: 'FFPRPF' });
  expect(planned.kinds).toBe('ffprpf');
  expect(planned.stats).toMatchObject({ calls: 6, fullCalls: 3, retrieveCalls: 1, predictedCalls: 2 });
  expect(planned.settings[0]).toContain('FFPRPF');
  expect(sameBits(planned.latents, none.latents)).toBe(false);
  expect(sameBits(planned.latents, (await run({ plan: 'FFPRPF', damping: 0 })).latents)).toBe(false);
  expect(sameBits(planned.latents, (await run({ plan: 'FFPRPF' })).latents)).toBe(true);
});

test('a batch is the same as its pictures one by one', async () => {
  const cache = { plan: 'FPFPPF' };
  const both = await run(cache, { prompt: ['a red house', 'a dog'], seed: undefined, seeds: [3, 4] });
  const size = both.latents.length / 2;
  const second = await run(cache, { prompt: 'a dog', seed: 4 });
  expect(sameBits(both.latents.subarray(size), second.latents)).toBe(true);
});

test('image to image takes a plan for the calls that it runs', async () => {
  const image = { data: new Uint8Array(3 * 64 * 64).fill(90), width: 64, height: 64, channels: 3 };
  const options = { image, strength: 0.5 };
  const fromImage = StableDiffusionImg2ImgPipeline.from(pipe);
  expect((await run({ plan: 'FPF' }, options, fromImage as never)).kinds).toBe('fpf');
  await expect(run({ plan: 'FPFPPF' }, options, fromImage as never)).rejects.toThrow(
    /has 6 letters, but the run has 3 U-Net calls/,
  );
});

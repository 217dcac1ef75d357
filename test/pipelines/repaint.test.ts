import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type DDPMOptions,
  DDPMPipeline,
  Image,
  readSettings,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StepEvent,
} from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { ImageEngine, type JobRequest } from '../../lib/server/engine/index.js';
import { repeatOptions } from '../../lib/settings/options.js';
import { writeDdpm } from '../composition/made-systems.js';
import { distance, loadTiny, numbersOf, rejection, sameBits, untyped } from './tiny.js';

// A model of whole pictures, with few channels, that repaints a half of one.

const SIDE = 16;
const PIXELS = SIDE * SIDE;
const image = new Image({
  width: SIDE,
  height: SIDE,
  data: Uint8Array.from({ length: 3 * PIXELS }, (_, i) => (i * 7919) % 251),
});
const isPainted = (pixel: number) => pixel % SIDE >= SIDE / 2;
const maskImage = new Image({
  width: SIDE,
  height: SIDE,
  data: Uint8Array.from({ length: 3 * PIXELS }, (_, i) => (isPainted(Math.floor(i / 3)) ? 255 : 0)),
});
const schedulerOptions = { jumpLength: 2, jumpNSample: 2 };
const RUN = { image, maskImage, scheduler: 'RePaint', steps: 5, schedulerOptions, seed: 4 } as const;
/** [4, 3, 2, 1, 0, and back to 2, ...] of which jumps begin at 2 and 0. */
const CALLS = 5 + 2 * 2;

let folder: string;
let pipe: DDPMPipeline;
beforeAll(async () => {
  folder = await writeDdpm(mkdtempSync(join(tmpdir(), 'deepcache-repaint-')));
  pipe = await DDPMPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

const sampled = async (options: object = {}) =>
  numbersOf(await pipe.generate({ ...RUN, ...options, output: 'latent' } as DDPMOptions));

test('is the paper’s algorithm with diffusers’ draws, call by call', async () => {
  const generator = new (native().Generator)(4n);
  const draw = () => generator.randn(3 * PIXELS) as Float32Array;
  const betas = Array.from({ length: 1000 }, (_, i) => 0.0001 + ((0.02 - 0.0001) * i) / 999);
  let product = 1;
  const signal = betas.map((beta) => (product *= 1 - beta));
  const turns = [4, 3, 2, 3, 4, 3, 2, 1, 0, 1, 2, 1, 0].map((step) => 200 * step);
  let x = Float64Array.from(draw());
  for (const [i, t] of turns.entries()) {
    const before = turns[i - 1] ?? Number.POSITIVE_INFINITY;
    if (t > before) {
      for (const beta of betas.slice(before, before + 200)) {
        const z = draw();
        x = x.map((v, k) => Math.sqrt(1 - beta) * v + Math.sqrt(beta) * (z[k] as number));
      }
      continue;
    }
    const { out } = await pipe.unet.native.forward({
      ...{ batch: 1, height: SIDE, width: SIDE, sample: Float32Array.from(x), timesteps: [t] },
    }).promise;
    const [a, b] = [signal[t] as number, signal[t - 200] ?? 1];
    const z = draw();
    x = x.map((v, k) => {
      const said = out[k] as number;
      const clean = Math.min(1, Math.max(-1, (v - Math.sqrt(1 - a) * said) / Math.sqrt(a)));
      const [channel, pixel] = [Math.floor(k / PIXELS), k % PIXELS];
      const own = (image.data[3 * pixel + channel] as number) / 127.5 - 1;
      return isPainted(pixel)
        ? Math.sqrt(b) * clean + Math.sqrt(1 - b) * said
        : Math.sqrt(b) * own + Math.sqrt(1 - b) * (z[k] as number);
    });
  }
  expect(distance(await sampled(), x)).toBeLessThan(1e-4);
});

describe('a run', () => {
  test('keeps what is black in the mask to the bit, and paints the rest', async () => {
    const { images } = await pipe.generate(RUN);
    const { data } = images[0] as Image;
    const other = (await pipe.generate({ ...RUN, seed: 5 })).images[0] as Image;
    let changed = 0;
    for (let i = 0; i < 3 * PIXELS; i++) {
      if (isPainted(Math.floor(i / 3))) changed += data[i] === other.data[i] ? 0 : 1;
      else expect([i, data[i]]).toEqual([i, image.data[i]]);
    }
    expect(changed).toBeGreaterThan(PIXELS / 2);
  });

  test('obeys eta and its jumps', async () => {
    const usual = await sampled();
    expect(sameBits(await sampled(), usual)).toBe(true);
    for (const change of [{ eta: 0.7 }, { schedulerOptions: { jumpNSample: 1 } }, { steps: 6 }]) {
      expect(distance(await sampled(change), usual)).toBeGreaterThan(1e-3);
    }
  });

  test('of a batch: one picture for all, or one for each, as each alone', async () => {
    const run = { batchSize: 2, seeds: [4, 9], seed: undefined };
    const both = await sampled(run);
    const alone = [await sampled(), await sampled({ seed: 9 })];
    expect(distance(both.subarray(0, 3 * PIXELS), alone[0] as Float32Array)).toBeLessThan(1e-4);
    expect(distance(both.subarray(3 * PIXELS), alone[1] as Float32Array)).toBeLessThan(1e-4);
    const each = await sampled({ ...run, image: [image, maskImage] });
    expect(distance(each.subarray(0, 3 * PIXELS), alone[0] as Float32Array)).toBeLessThan(1e-4);
    expect(distance(each, both)).toBeGreaterThan(0.1);
  });

  test('tells its calls, not the rows between them', async () => {
    const events: StepEvent[] = [];
    const { stats } = await pipe.generate({
      ...RUN,
      latentsEvery: 3,
      onStep: (event) => events.push(event),
    });
    expect(events.map(({ call, calls }) => [call, calls])).toEqual(
      Array.from({ length: CALLS }, (_, i) => [i + 1, CALLS]),
    );
    expect(events.map(({ timestep }) => timestep / 200)).toEqual([4, 3, 2, 3, 2, 1, 0, 1, 0]);
    expect(events.filter(({ latents }) => latents).map(({ call }) => call)).toEqual([3, 6, 9]);
    expect(stats.fullCalls).toBe(CALLS);
  });

  test('is cached by calls', async () => {
    const usual = await sampled();
    expect(sameBits(await sampled({ cache: { interval: 1 } }), usual)).toBe(true);
    const cached = await pipe.generate({ ...RUN, cache: { interval: 4 }, output: 'latent' });
    expect(cached.stats.fullCalls).toBe(3);
    expect(distance(numbersOf(cached), usual)).toBeGreaterThan(1e-4);
    const plan = 'FRFPFRFRF';
    const planned = await pipe.generate({ ...RUN, cache: { plan }, output: 'latent' });
    expect(planned.stats.fullCalls).toBe(5);
    expect(distance(numbersOf(planned), usual)).toBeGreaterThan(1e-4);
  });

  test('says how it was made, for a repetition', async () => {
    const picture = join(folder, 'picture.png');
    await image.save(picture);
    const { images } = await pipe.generate({ ...RUN, image: picture, eta: 0.5 });
    const settings = await readSettings(await (images[0] as Image).toBuffer('png'));
    expect(settings.fields).toMatchObject({ Sampler: 'RePaint', Steps: '5', Eta: '0.5' });
    const { options } = repeatOptions(settings);
    expect(options).toMatchObject({
      image: { file: picture },
      schedulerOptions,
      eta: 0.5,
      scheduler: 'RePaint',
    });
    expect(options).toHaveProperty('maskImage.hash');
    // Such models have no autoencoder that would change what stays.
    expect(options).not.toHaveProperty('keepOriginal');
  });

  test('resizes pictures to the size of the model, and says so', async () => {
    const large = new Image({ width: 40, height: 20, data: new Uint8Array(3 * 800).fill(90) });
    const { images, notes } = await pipe.generate({ ...RUN, image: large, schedulerOptions: {} });
    expect(images[0]).toMatchObject({ width: SIDE, height: SIDE });
    expect(notes).toEqual([
      expect.stringMatching(/image is 40x20 pixels, the model makes 16x16/),
      expect.stringMatching(/the mask is 16x16 pixels, the image 40x20/),
    ]);
  });
});

test('jobs that share passes are as each alone', async () => {
  const requests = [
    { task: 'inpaint', options: { ...RUN, output: 'latent' } },
    { task: 'inpaint', options: { ...RUN, output: 'latent', seed: 6, cache: { interval: 2 }, steps: 7 } },
    { task: 'text-to-image', options: { steps: 8, seed: 2, output: 'latent', scheduler: 'DDIM' } },
  ] as const;
  const alone: Float32Array[] = [];
  for (const { options } of requests) alone.push(numbersOf(await pipe.generate(options)));
  const engine = new ImageEngine({ models: { own: { model: folder, device: 'cpu' } }, log: () => {} });
  try {
    const jobs = await Promise.all(
      requests.map((one) => engine.submit({ model: 'own', ...one } as JobRequest)),
    );
    for (const [i, job] of jobs.entries())
      expect(distance(numbersOf(await job.result), alone[i] as Float32Array)).toBeLessThan(1e-5);
    const image = engine.submit({ model: 'own', task: 'image-to-image', options: RUN } as JobRequest);
    expect((await rejection(image)).message).toMatch(/makes no image-to-image/);
  } finally {
    await engine.close();
  }
});

const REFUSED: [object, RegExp][] = [
  [{ maskImage: undefined }, /image needs a maskImage/],
  [{ image: undefined }, /maskImage needs an image/],
  [{ image: undefined, maskImage: undefined }, /RePaintScheduler repaints a part of a picture/],
  [{ scheduler: 'DDPM', schedulerOptions: undefined }, /image and maskImage are for the sampler RePaint/],
  [{ scheduler: 'DDIM' }, /give scheduler 'RePaint'/],
  [{ schedulerOptions: { jumpLength: 0 } }, /schedulerOptions.jumpLength must be a whole number/],
  [{ schedulerOptions: { jumpNSample: 100_000, jumpLength: 1 } }, /too long a run/],
  [{ image: [image, image] }, /image has 2 pictures for 1 images/],
  [
    { image: { data: new Float32Array(3 * 64), shape: [1, 3, 8, 8] } },
    /image is a tensor of 8x8, the run needs 16x16/,
  ],
  [{ image: 'nowhere.png' }, /nowhere.png/],
  [{ cache: { plan: 'FRR' } }, /cache.plan has 3 letters, but the run has 9 U-Net calls/],
];

test.each(REFUSED.map(([options, message]) => [message.source, options, message] as const))(
  'is refused: %s',
  async (_, options, message) => {
    const run = pipe.generate(untyped({ ...RUN, ...options }) as DDPMOptions);
    expect((await rejection(run)).message).toMatch(message);
  },
);

test('no other model takes the sampler', async () => {
  await using sd = await loadTiny();
  const run = { prompt: 'a', scheduler: 'RePaint', image, maskImage: image, width: 64, height: 64 } as const;
  const { image: _, maskImage: __, ...text } = run;
  const message = /scheduler RePaintScheduler repaints a part of a picture, with DDPM models/;
  expect((await rejection(sd.generate(text))).message).toMatch(message);
  await using inpaint = StableDiffusionInpaintPipeline.from(sd);
  expect((await rejection(inpaint.generate(run))).message).toMatch(message);
  await using other = StableDiffusionImg2ImgPipeline.from(sd);
  const { maskImage: ___, ...from } = run;
  expect((await rejection(other.generate({ ...from, strength: 0.5 }))).message).toMatch(message);
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { inspectModel } from '../../lib/cli/inspection/model.js';
import { DDPMScheduler } from '../../lib/entries/schedulers.js';
import {
  DiffusionPipeline,
  Image,
  pipelineForInputs,
  readSettings,
  StableDiffusionPipeline,
  StableDiffusionUpscalePipeline,
} from '../../lib/index.js';
import { finish } from '../../lib/native/device.js';
import { NoiseSource } from '../../lib/pipelines/inputs/noise.js';
import { repeatOptions } from '../../lib/settings/options.js';
import { runCli } from '../cli-run.js';
import { writeControlNet } from '../composition/made-systems.js';
import { blackPng } from '../images/png-file.js';
import { writeUpscaler } from './made-models.js';
import { distance, FOLDER, imageOf, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// The x4 upscaler: a small picture, noised, behind latents of its size, and its noise level as the class.

const [WIDTH, HEIGHT] = [16, 8];
const noisy = (width: number, height: number, shift = 0) =>
  new Image({
    width,
    height,
    data: Uint8Array.from({ length: 3 * width * height }, (_, i) => (((i * 7919) % 251) ^ shift) & 255),
  });
const image = noisy(WIDTH, HEIGHT);

let folder: string;
let pipe: StableDiffusionUpscalePipeline;
beforeAll(async () => {
  folder = await writeUpscaler(mkdtempSync(join(tmpdir(), 'deepcache-upscales-')));
  pipe = (await DiffusionPipeline.fromPretrained(folder, { device: 'cpu' })) as typeof pipe;
});
afterAll(() => {
  pipe.dispose();
  rmSync(folder, { recursive: true });
});

const run = (options: object = {}) => latentsOf(pipe, { image, ...options });

test('a folder of the class is one, with the steps and guidance that diffusers takes', async () => {
  expect(pipe).toBeInstanceOf(StableDiffusionUpscalePipeline);
  expect(pipe.defaults).toMatchObject({ steps: 75, guidanceScale: 9 });
  expect(pipelineForInputs(pipe, { image: true, mask: false })).toBeInstanceOf(
    StableDiffusionUpscalePipeline,
  );
  expect(() => pipelineForInputs(pipe, { image: true, mask: true })).toThrow(/does not start from pictures/);
});

describe('a run', () => {
  test('makes a picture four times as large', async () => {
    const { images } = await pipe.generate({ prompt: 'a', image, steps: 1 });
    expect(images[0]).toMatchObject({ width: 4 * WIDTH, height: 4 * HEIGHT });
  });

  test('resizes a picture that is no multiple of four, and says so', async () => {
    const { images, notes } = await pipe.generate({ prompt: 'a', image: noisy(18, 11), steps: 1 });
    expect(images[0]).toMatchObject({ width: 64, height: 32 });
    expect(notes.join()).toMatch(/18x11 pixels, not multiples of 4: it was resized to 16x8/);
  });

  test('takes the size of the result from options', async () => {
    const { images } = await pipe.generate({ prompt: 'a', image, width: 32, height: 64, steps: 1 });
    expect(images[0]).toMatchObject({ width: 32, height: 64 });
    const { message } = await rejection(pipe.generate({ prompt: 'a', image, width: 30 }));
    expect(message).toMatch(/width must be a multiple of 4/);
  });

  test('follows the picture, the prompt, its noise level and guidance', async () => {
    const usual = await run();
    for (const changed of [
      { image: noisy(WIDTH, HEIGHT, 85) },
      { prompt: 'a ship' },
      { negativePrompt: 'a ship' },
      { guidanceScale: 3 },
      { noiseLevel: 21 },
      { noiseLevel: 0 },
    ]) {
      expect(distance(await run(changed), usual)).toBeGreaterThan(1e-4);
    }
    expect(sameBits(await run({ noiseLevel: 20, guidanceScale: 9 }), usual)).toBe(true);
  });

  test('is one step of the U-Net over the picture, noised by what was drawn first', async () => {
    const [level, seed] = [30, 5];
    const source = new NoiseSource([BigInt(seed)], 1);
    const drawn = await source.draw(3 * WIDTH * HEIGHT);
    const start = await source.draw(4 * WIDTH * HEIGHT);
    const pixels = new Float32Array(3 * WIDTH * HEIGHT);
    for (let i = 0; i < WIDTH * HEIGHT; i++)
      for (let c = 0; c < 3; c++)
        pixels[c * WIDTH * HEIGHT + i] = (image.data[3 * i + c] as number) / 127.5 - 1;
    const small = new DDPMScheduler({ beta_schedule: 'squaredcos_cap_v2' }).addNoise(pixels, drawn, level);
    const { promptEmbeds } = await pipe.encodePrompt({ prompt: 'a', guidanceScale: 1 });
    const { out } = await finish(() =>
      pipe.unet.native.forward({
        batch: 1,
        height: HEIGHT,
        width: WIDTH,
        sample: Float32Array.from([...start, ...small]),
        context: promptEmbeds.data,
        contextLength: 77,
        timesteps: [1],
        classLabels: Float32Array.of(level),
      }),
    );
    const scheduler = { _class_name: 'DDIM', timestep_spacing: 'leading' };
    const sampled = await run({
      seed,
      noiseLevel: level,
      steps: 1,
      guidanceScale: 1,
      prompt: 'a',
      scheduler,
    });
    // The last step of DDIM with epsilon, whose final alpha is the first one of training.
    const alphas = pipe.scheduler.alphasCumprod;
    const [alpha, last] = [alphas[1] as number, alphas[0] as number];
    const expected = start.map((x, i) => {
      const x0 = (x - Math.sqrt(1 - alpha) * (out[i] as number)) / Math.sqrt(alpha);
      return Math.sqrt(last) * x0 + Math.sqrt(1 - last) * (out[i] as number);
    });
    expect(distance(sampled, expected)).toBeLessThan(1e-5);
  });

  test('draws for each image where each has a seed', async () => {
    const both = await run({ seed: undefined, seeds: [3, 4], numImages: 2 });
    for (const [i, seed] of [3, 4].entries()) {
      expect(distance(imageOf(both, i, 2), await run({ seed }))).toBeLessThan(1e-5);
    }
  });

  test('takes latents to start from', async () => {
    const latents = { data: new Float32Array(4 * WIDTH * HEIGHT).fill(0.5), shape: [1, 4, HEIGHT, WIDTH] };
    expect(distance(await run({ latents }), await run())).toBeGreaterThan(1e-3);
    const wrong = { ...latents, shape: [1, 4, WIDTH, HEIGHT] };
    expect((await rejection(run({ latents: wrong }))).message).toMatch(
      /latents must have shape \[1, 4, 8, 16\]/,
    );
  });

  test('caches, and with a cache of which every call is full changes nothing', async () => {
    const usual = await run({ steps: 6 });
    expect(sameBits(await run({ steps: 6, cache: { interval: 1 } }), usual)).toBe(true);
    for (const cache of [{ interval: 3 }, { interval: 3, branch: 2 }]) {
      expect(distance(await run({ steps: 6, cache }), usual)).toBeGreaterThan(1e-4);
    }
  });

  test('says in its settings how noisy the picture was', async () => {
    const { images } = await pipe.generate({ prompt: 'a', image, steps: 1, noiseLevel: 33 });
    const file = join(folder, 'large.png');
    await images[0]?.save(file);
    const settings = await readSettings(file);
    expect(settings.fields).toMatchObject({ 'Noise level': '33', Size: '64x32' });
    expect(repeatOptions(settings).options).toMatchObject({ noiseLevel: 33 });
  });
});

describe('refusals', () => {
  const message = async (options: object) => (await rejection(run(options))).message;

  test('more noise than the model was trained on', async () => {
    expect(await message({ noiseLevel: 351 })).toMatch(/noiseLevel must be at most 350, .* got 351/);
  });

  test('no picture, and what is for models of other sizes', async () => {
    expect(await message({ image: undefined })).toMatch(/image is missing: say which picture to enlarge/);
    expect(await message({ controlImage: image })).toMatch(
      /controlImage is not an option of the x4 upscaler/,
    );
    expect(await message({ strength: 0.5 })).toMatch(/strength is not an option of the x4 upscaler/);
  });

  test('a picture that needs more memory than there is, before anything is computed', async () => {
    // Nothing behind its header is right.
    const png = blackPng(4096, 4096).fill(0xff, 100);
    const error = await rejection(run({ image: png, numImages: 40 }));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_OUT_OF_MEMORY' });
    expect(error.message).toMatch(/needs .* GiB .* for the U-Net/);
    expect(await message({ image: blackPng(4100, 8) })).toMatch(
      /is 4100x8; 4 times as much is more than 16384/,
    );
  });

  test('networks beside the U-Net', async () => {
    const net = await writeControlNet(folder, folder, 'net');
    expect((await rejection(pipe.loadControlNet(net))).message).toMatch(
      /of 8 pixels a side, the autoencoder of 4/,
    );
  });

  test('models of another kind', async () => {
    const loading = StableDiffusionUpscalePipeline.fromPretrained(FOLDER, { device: 'cpu' });
    expect((await rejection(loading)).message).toMatch(/low_res_scheduler/);
    const plain = await loadTiny();
    expect(() => StableDiffusionUpscalePipeline.from(plain)).toThrow(/has no lowResScheduler/);
    plain.dispose();
    const other = StableDiffusionPipeline.fromPretrained(folder, { device: 'cpu' });
    expect((await rejection(other)).message).toMatch(/takes 7 channels, of which this pipeline has 4/);
  });

  test.each<[string, Parameters<typeof writeUpscaler>[1], RegExp]>([
    [
      'a sampler that noises otherwise',
      { lowRes: { _class_name: 'EulerDiscreteScheduler' } },
      /a EulerDiscrete.*DDPM/,
    ],
    ['a level beyond training', { index: { max_noise_level: 1000 } }, /max_noise_level.*below 1000/],
    ['no classes', { unet: { num_class_embeds: null } }, /without class labels, which this pipeline needs/],
  ])('a folder with %s', async (_, parts, expected) => {
    const broken = await writeUpscaler(mkdtempSync(join(tmpdir(), 'deepcache-upscales-')), parts);
    const { message } = await rejection(DiffusionPipeline.fromPretrained(broken, { device: 'cpu' }));
    expect(message).toMatch(expected);
    rmSync(broken, { recursive: true });
  });
});

test("the autoencoder has the upscaler's scale, whatever its file says, and the log hears of it", async () => {
  const other = await writeUpscaler(mkdtempSync(join(tmpdir(), 'deepcache-upscales-')), {
    vae: { scaling_factor: 0.18215 },
  });
  const heard: string[] = [];
  const loaded = await DiffusionPipeline.fromPretrained(other, {
    device: 'cpu',
    log: (text) => heard.push(text),
  });
  expect((loaded as StableDiffusionUpscalePipeline).vae.scalingFactor).toBeCloseTo(0.08333, 7);
  expect(heard.join()).toMatch(/vae\/config.json: "scaling_factor" is 0.18215, taken as 0.08333/);
  await loaded.dispose();
  rmSync(other, { recursive: true });
});

test('the command line enlarges, inspects and counts', async () => {
  const [input, output] = [join(folder, 'small.png'), join(folder, 'cli.png')];
  await image.save(input);
  const flags = [
    '-m',
    folder,
    '-p',
    'a',
    '--image',
    input,
    '--steps',
    '2',
    '--noise-level',
    '40',
    '-o',
    output,
  ];
  expect(await runCli(['generate', ...flags, '--device', 'cpu', '--seed', '1'])).toMatchObject({ code: 0 });
  expect(await Image.open(output)).toMatchObject({ width: 64, height: 32 });
  expect(await inspectModel(folder)).toMatchObject({
    className: 'StableDiffusionUpscalePipeline',
    problems: [],
  });
  const { out } = await runCli(['macs', '--model-name', 'x4-upscaler', '--width', '512', '--height', '512']);
  expect(out).toMatch(/128/);
});

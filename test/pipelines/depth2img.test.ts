import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { inspectModel } from '../../lib/cli/inspection/model.js';
import {
  DiffusionPipeline,
  Image,
  pipelineForInputs,
  readSettings,
  StableDiffusionDepth2ImgPipeline,
  StableDiffusionImg2ImgPipeline,
} from '../../lib/index.js';
import { finish } from '../../lib/native/device.js';
import { NoiseSource } from '../../lib/pipelines/inputs/noise.js';
import { runCli } from '../cli-run.js';
import { writeSd } from './made-models.js';
import { distance, FOLDER, imageOf, latentsOf, rejection, SIZE, sameBits } from './tiny.js';

// Depth to image: image to image, with a depth map behind the latents.

const CLASS = 'StableDiffusionDepth2ImgPipeline';
const picture = (width: number, height: number, value: (x: number, y: number) => number) =>
  new Image({
    width,
    height,
    data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
      const pixel = Math.floor(i / 3);
      return value(pixel % width, Math.floor(pixel / width));
    }),
  });
const image = picture(SIZE, SIZE, (x, y) => (x * 37 + y * 91) % 256);
const depthMap = picture(SIZE, SIZE, (x) => 3 * x);

let folder: string;
let pipe: StableDiffusionDepth2ImgPipeline;
beforeAll(async () => {
  folder = await writeSd(mkdtempSync(join(tmpdir(), 'deepcache-depths-')), {
    index: { _class_name: CLASS, depth_estimator: ['transformers', 'DPTForDepthEstimation'] },
    unet: { in_channels: 5 },
  });
  pipe = (await DiffusionPipeline.fromPretrained(folder, { device: 'cpu' })) as typeof pipe;
});
afterAll(() => {
  pipe.dispose();
  rmSync(folder, { recursive: true });
});

const run = (options: object = {}) => latentsOf(pipe, { image, depthMap, ...options });

test('a folder of the class is one', async () => {
  expect(pipe).toBeInstanceOf(StableDiffusionDepth2ImgPipeline);
  expect(pipelineForInputs(pipe, { image: true, mask: false })).toBeInstanceOf(
    StableDiffusionDepth2ImgPipeline,
  );
  expect(await inspectModel(folder)).toMatchObject({ className: CLASS, problems: [] });
});

describe('a run', () => {
  test('follows the picture, its depths, the prompt and the strength', async () => {
    const usual = await run();
    for (const changed of [
      { image: depthMap },
      { depthMap: image },
      { prompt: 'a ship' },
      { negativePrompt: 'a ship' },
      { strength: 0.4 },
    ]) {
      expect(distance(await run(changed), usual)).toBeGreaterThan(1e-4);
    }
    expect(sameBits(await run({ strength: 0.8 }), usual)).toBe(true);
  });

  test('takes depths of any size and in any unit: only differences count', async () => {
    const ramp = (size: number, value: (x: number) => number) => ({
      data: Float32Array.from({ length: size * size }, (_, i) => value((i % size) / (size - 1))),
      shape: [1, 1, size, size],
    });
    const near = await run({ depthMap: ramp(8, (x) => x) });
    expect(distance(await run({ depthMap: ramp(8, (x) => 1000 * x - 37) }), near)).toBeLessThan(1e-4);
    expect(distance(await run({ depthMap: ramp(8, (x) => -x) }), near)).toBeGreaterThan(1e-3);
    expect(distance(await run({ depthMap: ramp(16, (x) => x) }), near)).toBeLessThan(0.1);
  });

  test('gives each image its own map', async () => {
    const other = picture(SIZE, SIZE, (_, y) => 3 * y);
    const both = await run({
      seed: undefined,
      seeds: [3, 3],
      prompt: ['a', 'a'],
      depthMap: [depthMap, other],
      guidanceScale: 3,
    });
    for (const [i, one] of [depthMap, other].entries()) {
      const alone = await run({ seed: 3, prompt: 'a', depthMap: one, guidanceScale: 3 });
      expect(distance(imageOf(both, i, 2), alone)).toBeLessThan(1e-5);
    }
  });

  test('goes on from latents, as image to image does', async () => {
    const latents = { data: new Float32Array(4 * 64).fill(0.3), shape: [1, 4, 8, 8] };
    expect(distance(await run({ image: latents }), await run())).toBeGreaterThan(1e-3);
  });

  test('caches, and with a cache of which every call is full changes nothing', async () => {
    const options = { steps: 8, strength: 1 };
    const usual = await run(options);
    expect(sameBits(await run({ ...options, cache: { interval: 1 } }), usual)).toBe(true);
    expect(distance(await run({ ...options, cache: { interval: 3 } }), usual)).toBeGreaterThan(1e-4);
  });

  test('says in its settings that it had a depth map', async () => {
    const { images } = await pipe.generate({ prompt: 'a', image, depthMap, steps: 2 });
    const file = join(folder, 'depth.png');
    await images[0]?.save(file);
    expect((await readSettings(file)).fields).toMatchObject({
      'Depth map': expect.stringContaining('hash'),
      'Denoising strength': '0.8',
    });
  });
});

test('one step is one of the U-Net over the noised picture and its depths, from -1, far, to 1, near', async () => {
  const latents = { data: new Float32Array(4 * 64).fill(0.25), shape: [1, 4, 8, 8] };
  const map = Float32Array.from({ length: 64 }, (_, i) => (i * 29) % 64);
  const scheduler = { _class_name: 'DDIM', timestep_spacing: 'leading', steps_offset: 1 };
  const sampled = await run({
    ...{ image: latents, depthMap: { data: map, shape: [1, 1, 8, 8] }, prompt: 'a', seed: 5 },
    ...{ steps: 1, strength: 1, guidanceScale: 1, scheduler },
  });
  const noise = await new NoiseSource([5n], 1).draw(4 * 64);
  const [last, alpha] = [...pipe.scheduler.alphasCumprod.subarray(0, 2)] as [number, number];
  const start = noise.map((value) => Math.sqrt(alpha) * 0.25 + Math.sqrt(1 - alpha) * value);
  const depths = map.map((value) => (2 * value) / 63 - 1);
  const { promptEmbeds } = await pipe.encodePrompt({ prompt: 'a', guidanceScale: 1 });
  const { out } = await finish(() =>
    pipe.unet.native.forward({
      ...{ batch: 1, height: 8, width: 8, timesteps: [1] },
      ...{ context: promptEmbeds.data, contextLength: 77 },
      sample: Float32Array.from([...start, ...depths]),
    }),
  );
  const expected = start.map((x, i) => {
    const x0 = (x - Math.sqrt(1 - alpha) * (out[i] as number)) / Math.sqrt(alpha);
    return Math.sqrt(last) * x0 + Math.sqrt(1 - last) * (out[i] as number);
  });
  expect(distance(sampled, expected)).toBeLessThan(1e-5);
});

describe('refusals', () => {
  const message = async (options: object) => (await rejection(run(options))).message;

  test('no depth map, and one that shows no depth', async () => {
    expect(await message({ depthMap: undefined })).toMatch(
      /depthMap is missing: give the picture's depth map, .* nothing here estimates one/,
    );
    expect(await message({ depthMap: picture(SIZE, SIZE, () => 9) })).toMatch(
      /depthMap is the same everywhere/,
    );
    const data = new Float32Array(64).fill(Number.NaN);
    expect(await message({ depthMap: { data, shape: [1, 1, 8, 8] } })).toMatch(/depthMap/);
    expect(await message({ depthMap: [depthMap, depthMap, depthMap], numImages: 2 })).toMatch(
      /depthMap has 3 pictures for 2 images/,
    );
  });

  test('models of another kind', async () => {
    const loading = StableDiffusionDepth2ImgPipeline.fromPretrained(FOLDER, { device: 'cpu' });
    expect((await rejection(loading)).message).toMatch(/takes 4 channels, of which this pipeline has 5/);
    const other = StableDiffusionImg2ImgPipeline.fromPretrained(folder, { device: 'cpu' });
    expect((await rejection(other)).message).toMatch(/takes 5 channels, of which this pipeline has 4/);
  });
});

test('the command line takes a picture and its depth map', async () => {
  const [input, depth, output] = ['in.png', 'depth-map.png', 'out.png'].map((name) => join(folder, name));
  await image.save(input as string);
  await depthMap.save(depth as string);
  const flags = ['--image', input, '--depth-map', depth, '--steps', '2', '-o', output] as string[];
  const both = await runCli(['generate', '-m', folder, '-p', 'a', '--device', 'cpu', ...flags]);
  expect(both).toMatchObject({ code: 0 });
  const one = await runCli(['generate', '-m', folder, '-p', 'a', '--image', input as string]);
  expect(one.code).not.toBe(0);
  expect(one.err).toMatch(/--depth-map|depthMap/);
});

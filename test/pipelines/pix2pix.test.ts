import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  Image,
  pipelineForInputs,
  readSettings,
  StableDiffusionInstructPix2PixPipeline,
  StableDiffusionPipeline,
} from '../../lib/index.js';
import { finish } from '../../lib/native/device.js';
import { writeSd } from './made-models.js';
import { distance, FOLDER, latentsOf, loadTiny, rejection, SIZE, sameBits } from './tiny.js';

// InstructPix2Pix: a picture's latents behind the run's own, and guidance of three outputs.

const CLASS = 'StableDiffusionInstructPix2PixPipeline';
const noisy = (shift: number) =>
  new Image({
    width: SIZE,
    height: SIZE,
    data: Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => (((i * 7919) % 251) ^ shift) & 255),
  });
const image = noisy(0);

let folder: string;
let pipe: StableDiffusionInstructPix2PixPipeline;
beforeAll(async () => {
  folder = await writeSd(mkdtempSync(join(tmpdir(), 'deepcache-edits-')), {
    index: { _class_name: CLASS },
    unet: { in_channels: 8 },
  });
  pipe = (await DiffusionPipeline.fromPretrained(folder, { device: 'cpu' })) as typeof pipe;
});
afterAll(() => {
  pipe.dispose();
  rmSync(folder, { recursive: true });
});

const run = (options: object = {}) => latentsOf(pipe, { image, ...options });

test('a folder of the class is one, with the steps that diffusers takes', async () => {
  expect(pipe).toBeInstanceOf(StableDiffusionInstructPix2PixPipeline);
  expect(pipelineForInputs(pipe, { image: true, mask: false })).toBeInstanceOf(
    StableDiffusionInstructPix2PixPipeline,
  );
  let calls = 0;
  const onStep = () => {
    calls++;
  };
  await pipe.generate({ prompt: '', image, output: 'latent', onStep });
  // PNDM makes one call more than it has steps.
  expect(calls).toBe(101);
});

describe('a run', () => {
  test('follows the picture, the prompt and both scales', async () => {
    const usual = await run();
    for (const changed of [
      { image: noisy(85) },
      { prompt: 'a ship' },
      { negativePrompt: 'a ship' },
      { guidanceScale: 3 },
      { imageGuidanceScale: 3 },
    ]) {
      expect(distance(await run(changed), usual)).toBeGreaterThan(1e-3);
    }
    expect(sameBits(await run({ imageGuidanceScale: 1.5 }), usual)).toBe(true);
  });

  test('without one of the scales is not guided, and asks no negative prompt', async () => {
    const plain = await run({ guidanceScale: 1 });
    expect(sameBits(await run({ guidanceScale: 1, negativePrompt: 'a ship' }), plain)).toBe(true);
    expect(sameBits(await run({ imageGuidanceScale: 0.5 }), plain)).toBe(true);
  });

  test('caches, and with a cache of which every call is full changes nothing', async () => {
    const usual = await run({ steps: 6 });
    expect(sameBits(await run({ steps: 6, cache: { interval: 1 } }), usual)).toBe(true);
    expect(distance(await run({ steps: 6, cache: { interval: 3 } }), usual)).toBeGreaterThan(1e-4);
  });

  test('says in its settings how closely it followed the picture', async () => {
    const { images } = await pipe.generate({ prompt: 'a', image, steps: 1, imageGuidanceScale: 2 });
    const file = join(folder, 'edit.png');
    await images[0]?.save(file);
    expect(JSON.stringify(await readSettings(file))).toMatch(/Image CFG scale\W+2\b/);
  });
});

test('guidance combines the outputs as the paper has it', async () => {
  // One step of DDIM is a linear function of the guided output.
  const at = (guidanceScale: number, imageGuidanceScale: number) =>
    run({ steps: 1, guidanceScale, imageGuidanceScale, scheduler: 'DDIM' });
  const [both, text, picture, neither] = [await at(4, 3), await at(4, 1), await at(2, 3), await at(2, 1)];
  const sum = both.map((v, i) => v + (neither[i] as number) - (text[i] as number) - (picture[i] as number));
  expect(
    distance(
      sum.map((v, i) => v + (both[i] as number)),
      both,
    ),
  ).toBeLessThan(1e-4);
  expect(distance(text, neither)).toBeGreaterThan(1e-3);
  expect(distance(picture, neither)).toBeGreaterThan(1e-3);
});

describe('refusals', () => {
  test('a U-Net of latents alone', async () => {
    const loading = StableDiffusionInstructPix2PixPipeline.fromPretrained(FOLDER, { device: 'cpu' });
    expect((await rejection(loading)).message).toMatch(/takes 4 channels, of which this pipeline has 8/);
    const plain = await loadTiny();
    expect(() => StableDiffusionInstructPix2PixPipeline.from(plain)).toThrow(/4 channels/);
    plain.dispose();
  });

  test('this U-Net in a pipeline of text alone', async () => {
    const loading = StableDiffusionPipeline.fromPretrained(folder, { device: 'cpu' });
    expect((await rejection(loading)).message).toMatch(/takes 8 channels, of which this pipeline has 4/);
  });

  test('no picture', async () => {
    const { message } = await rejection(pipe.generate({ prompt: 'a' } as never));
    expect(message).toMatch(/image.*which picture to change/);
  });
});

test('the U-Net has eight channels of input, four of output', async () => {
  expect([pipe.unet.inChannels, pipe.unet.native.outChannels]).toEqual([8, 4]);
  const size = { batch: 1, height: 8, width: 8, contextLength: 1, timesteps: [1] };
  const context = new Float32Array(pipe.unet.contextWidth);
  const { out } = await finish(() =>
    pipe.unet.native.forward({ ...size, context, sample: new Float32Array(8 * 64) }),
  );
  expect(out).toHaveLength(4 * 64);
});

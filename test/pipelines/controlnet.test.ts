import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StableDiffusionImg2ImgPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { FOLDER, latentsOf, loadTiny, rejection, SIZE, sameBits } from './tiny.js';

// ControlNets with synthetic weights beside the tiny model.

let folder: string;
let net: string;
let pipe: StableDiffusionPipeline;
const controlImage = {
  data: new Float32Array(3 * SIZE * SIZE).map((_, i) => (i % 7) / 7),
  shape: [1, 3, SIZE, SIZE],
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-control-'));
  net = join(folder, 'net');
  mkdirSync(net);
  const {
    up_block_types: _,
    out_channels: __,
    ...unet
  } = JSON.parse(readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'));
  const config = JSON.stringify({
    ...unet,
    _class_name: 'ControlNetModel',
    conditioning_embedding_out_channels: [4, 8, 12, 16],
  });
  writeFileSync(join(net, 'config.json'), config);
  const tensors = native().weightShapes('unet', config);
  const path = join(net, 'diffusion_pytorch_model.safetensors');
  await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
  pipe = await loadTiny({ controlNet: net });
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

describe('ControlNets of a pipeline', () => {
  test('count by their scale, and within their window', async () => {
    expect(pipe.controlNets).toEqual([{ name: 'net', file: net }]);
    const plain = await latentsOf(pipe);
    const one = await latentsOf(pipe, { controlImage });
    expect(sameBits(one, plain)).toBe(false);
    expect(sameBits(await latentsOf(pipe, { controlImage, controlScale: 0 }), plain)).toBe(true);
    const window = { controlImage, controlStart: 0.9, controlEnd: 0.95 };
    expect(sameBits(await latentsOf(pipe, window), plain)).toBe(true);
    expect(sameBits(await latentsOf(pipe, { controlImage }), one)).toBe(true);
  });

  test('are held or live between full calls', async () => {
    const run = { controlImage, steps: 4, cache: { interval: 2, branch: 1 } };
    const held = await latentsOf(pipe, run);
    expect(sameBits(await latentsOf(pipe, { ...run, controlCache: 'live' }), held)).toBe(false);
    expect(sameBits(await latentsOf(pipe, { ...run, controlCache: 'hold' }), held)).toBe(true);
  });

  test('are shared, several at once, and go again', async () => {
    await pipe.loadControlNet(net, { name: 'second' });
    const img2img = StableDiffusionImg2ImgPipeline.from(pipe);
    expect(img2img.controlNets).toHaveLength(2);
    await img2img.dispose();
    const both = [controlImage, controlImage];
    const halves = await latentsOf(pipe, { controlImage: both, controlScale: [1, 0] });
    expect((await rejection(latentsOf(pipe, { controlImage }))).message).toMatch(/list of 2/);
    await pipe.unloadControlNet('second');
    expect(sameBits(await latentsOf(pipe, { controlImage }), halves)).toBe(true);
  });

  test('are told in the settings of a picture', async () => {
    const { settings } = await pipe.generate({
      prompt: 'a',
      steps: 2,
      controlImage,
      controlEnd: 0.5,
      guessMode: true,
    });
    expect(settings[0]).toContain('ControlNets: ');
    expect(settings[0]).toContain('Guess mode: true');
  });

  test('refuse what does not fit', async () => {
    const problem = async (options: object) => (await rejection(latentsOf(pipe, options))).message;
    expect(await problem({ controlScale: 1 })).toMatch(/controlScale/);
    expect(await problem({ controlImage, controlScale: [1, 2] })).toMatch(/2 numbers for 1 ControlNets/);
    expect(await problem({ controlImage, controlStart: 0.5, controlEnd: 0.5 })).toMatch(/below controlEnd/);
    expect((await rejection(pipe.loadControlNet(FOLDER))).message).toMatch(/config\.json/);
    expect((await rejection(pipe.unloadControlNet('other'))).message).toMatch(/"net"/);
  });
});

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Image, preprocess, type StableDiffusionPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { FOLDER, latentsOf, loadTiny, rejection, SIZE, sameBits } from './tiny.js';

// A ControlNet-Union with synthetic weights beside the tiny model, and what is made of its pictures.

let folder: string;
let pipe: StableDiffusionPipeline;
const picture = (seed: number) =>
  new Image({
    width: 2 * SIZE,
    height: SIZE,
    data: new Uint8Array(6 * SIZE * SIZE).map((_, i) => (Math.trunc(i / (30 * seed)) % 2) * 200 + (i % 3)),
  });
const [one, two] = [picture(1), picture(2)];

/** A network in a folder. */
async function write(name: string, fields: object): Promise<string> {
  const path = join(folder, name);
  mkdirSync(path);
  const {
    up_block_types: _,
    out_channels: __,
    ...unet
  } = JSON.parse(readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'));
  const [width] = unet.block_out_channels;
  const config = JSON.stringify({
    ...unet,
    conditioning_embedding_out_channels: [4, 8, 12, 16],
    num_control_type: 6,
    num_trans_channel: width,
    num_proj_channel: width,
    num_trans_head: 8,
    ...fields,
  });
  writeFileSync(join(path, 'config.json'), config);
  const tensors = native().weightShapes('unet', config);
  const file = join(path, 'diffusion_pytorch_model.safetensors');
  await native().writeSynthetic({ path: file, tensors, dtype: 'float32' }).promise;
  return path;
}

const UNION = { _class_name: 'ControlNetUnionModel' };
const run = { width: SIZE, height: SIZE };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-union-'));
  pipe = await loadTiny({ controlNet: await write('union', UNION) });
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

describe('a ControlNet of several kinds of pictures', () => {
  test('counts by its kinds', async () => {
    const plain = await latentsOf(pipe, run);
    const first = await latentsOf(pipe, { ...run, controlImage: one, controlMode: 0 });
    const second = await latentsOf(pipe, { ...run, controlImage: one, controlMode: [3] });
    const both = await latentsOf(pipe, { ...run, controlImage: [one, two], controlMode: [0, 3] });
    const others = [plain, first, second, both];
    for (const [i, some] of others.entries())
      for (const other of others.slice(i + 1)) expect(sameBits(some, other)).toBe(false);
    const again = await latentsOf(pipe, { ...run, controlImage: one, controlMode: 0 });
    expect(sameBits(again, first)).toBe(true);
  });

  test('comes from a single file', async () => {
    const options = { ...run, controlImage: [one, two], controlMode: [0, 3] };
    const expected = await latentsOf(pipe, options);
    const other = await loadTiny({ controlNet: join(folder, 'union/diffusion_pytorch_model.safetensors') });
    expect(sameBits(await latentsOf(other, options), expected)).toBe(true);
    await other.dispose();
  });

  test('goes beside another one', async () => {
    const alone = await latentsOf(pipe, { ...run, controlImage: one, controlMode: 2 });
    await pipe.loadControlNet(await write('canny', { _class_name: 'ControlNetModel' }));
    const given = { ...run, controlImage: [one, two], controlScale: [1, 0] };
    expect(sameBits(await latentsOf(pipe, { ...given, controlMode: [2, []] }), alone)).toBe(true);
    expect((await rejection(latentsOf(pipe, { ...given, controlMode: [2, 1] }))).message).toMatch(
      /is for a ControlNet-Union/,
    );
    await pipe.unloadControlNet('canny');
  });

  test('refuses what does not fit', async () => {
    const problem = async (options: object) =>
      (await rejection(latentsOf(pipe, { ...run, ...options }))).message;
    expect(await problem({ controlImage: one })).toMatch(/controlMode must say the kind/);
    expect(await problem({ controlImage: one, controlMode: 6 })).toMatch(/from 0 to 5/);
    expect(await problem({ controlImage: one, controlMode: [1, 1] })).toMatch(/each once/);
    expect(await problem({ controlImage: one, controlMode: [0, 1] })).toMatch(/list of 2/);
    const wide = write('wide', { ...UNION, num_trans_channel: 320 });
    expect((await rejection(wide)).message).toMatch(/num_trans_channel/);
  });
});

describe('pictures of a ControlNet', () => {
  const mode = { ...run, controlMode: 3 };

  test('are made at the size of the run', async () => {
    const made = await latentsOf(pipe, {
      ...mode,
      controlImage: one,
      controlPreprocess: 'canny',
      controlResize: 'crop',
    });
    const middle = new Uint8Array(3 * SIZE * SIZE);
    for (let y = 0; y < SIZE; y++) {
      const from = 3 * (y * 2 * SIZE + SIZE / 2);
      middle.set(one.data.subarray(from, from + 3 * SIZE), 3 * y * SIZE);
    }
    const edges = await preprocess(new Image({ ...run, data: middle }), 'canny');
    expect(sameBits(await latentsOf(pipe, { ...mode, controlImage: edges }), made)).toBe(true);
    const { settings } = await pipe.generate({
      ...mode,
      prompt: 'a',
      steps: 2,
      controlImage: one,
      controlPreprocess: 'canny',
      controlResize: 'fill',
    });
    expect(settings[0]).toContain('Control mode: 3');
    expect(settings[0]).toContain('Control preprocess: canny');
    expect(settings[0]).toContain('Control resize: fill');
  });

  test('are no tensors', async () => {
    const controlImage = { data: new Float32Array(3 * SIZE * SIZE), shape: [1, 3, SIZE, SIZE] };
    const { message } = await rejection(
      latentsOf(pipe, { ...mode, controlImage, controlPreprocess: 'invert' }),
    );
    expect(message).toMatch(/controlPreprocess is for pictures/);
  });
});

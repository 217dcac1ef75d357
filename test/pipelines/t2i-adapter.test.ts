import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Image, StableDiffusionImg2ImgPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { writeRenamed } from '../adapters/renamed.js';
import { writeT2IAdapter } from '../t2i-adapter-file.js';
import { FOLDER, latentsOf, loadTiny, rejection, SIZE, sameBits } from './tiny.js';

// T2I-Adapters with synthetic weights beside the tiny model.

const CHANNELS: number[] = JSON.parse(
  readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'),
).block_out_channels;

let folder: string;
let adapter: string;
let pipe: StableDiffusionPipeline;
const t2iAdapterImage = {
  data: new Float32Array(3 * SIZE * SIZE).map((_, i) => (i % 7) / 7),
  shape: [1, 3, SIZE, SIZE],
};

const write = (name: string, fields: object = {}) => writeT2IAdapter(join(folder, name), fields);

/** The weights of a folder under other names, in one file. */
const original = (from: string, name: string, rename: (name: string) => string) =>
  writeRenamed(join(from, 'diffusion_pytorch_model.safetensors'), join(folder, name), rename);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-t2i-'));
  adapter = await write('sketch');
  pipe = await loadTiny({ t2iAdapter: adapter });
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

describe('T2I-Adapters of a pipeline', () => {
  test('are in what a run needs, level by level', async () => {
    const bytes = (blockFeatures: number) => pipe.unet.runBytes({ blockFeatures });
    expect(await bytes(4)).toBeGreaterThan(await bytes(0));
  });

  test('count by their scale, in a share of the steps', async () => {
    expect(pipe.t2iAdapters).toEqual([{ name: 'sketch', file: adapter }]);
    const plain = await latentsOf(pipe);
    const one = await latentsOf(pipe, { t2iAdapterImage });
    expect(sameBits(one, plain)).toBe(false);
    expect(sameBits(await latentsOf(pipe, { t2iAdapterImage, t2iAdapterScale: 0 }), plain)).toBe(true);
    expect(sameBits(await latentsOf(pipe, { t2iAdapterImage, t2iAdapterFactor: 0 }), plain)).toBe(true);
    const half = await latentsOf(pipe, { t2iAdapterImage, t2iAdapterFactor: 0.5 });
    for (const other of [plain, one]) expect(sameBits(half, other)).toBe(false);
    expect(sameBits(await latentsOf(pipe, { t2iAdapterImage }), one)).toBe(true);
  });

  test('count in cached calls too, and at interval 1 as without a cache', async () => {
    const run = { t2iAdapterImage, steps: 4 };
    const every = await latentsOf(pipe, { ...run, cache: { interval: 1, branch: 1 } });
    expect(sameBits(every, await latentsOf(pipe, run))).toBe(true);
    const cached = { ...run, cache: { interval: 2, branch: 1 } };
    const scaled = await latentsOf(pipe, { ...cached, t2iAdapterScale: 0.5 });
    expect(sameBits(scaled, await latentsOf(pipe, cached))).toBe(false);
  });

  test('are shared, several at once, and go again', async () => {
    await pipe.loadT2IAdapter(adapter, { name: 'second' });
    const img2img = StableDiffusionImg2ImgPipeline.from(pipe);
    expect(img2img.t2iAdapters).toHaveLength(2);
    await img2img.dispose();
    const both = [t2iAdapterImage, t2iAdapterImage];
    const one = await latentsOf(pipe, { t2iAdapterImage: both, t2iAdapterScale: [1, 0] });
    expect((await rejection(latentsOf(pipe, { t2iAdapterImage }))).message).toMatch(/list of 2/);
    await pipe.unloadT2IAdapter('second');
    expect(sameBits(await latentsOf(pipe, { t2iAdapterImage }), one)).toBe(true);
  });

  test('are one picture for all images, or one for each prompt', async () => {
    const prompts = { prompt: ['a', 'b'], steps: 2 };
    const one = await latentsOf(pipe, { ...prompts, t2iAdapterImage });
    const { data, shape } = t2iAdapterImage;
    const twice = { data: Float32Array.from([...data, ...data]), shape: [2, ...shape.slice(1)] };
    expect(sameBits(await latentsOf(pipe, { ...prompts, t2iAdapterImage: twice }), one)).toBe(true);
  });

  test('of one channel see gray', async () => {
    const light = await write('depth', {
      adapter_type: 'light_adapter',
      in_channels: 1,
      channels: CHANNELS.slice(0, -1),
    });
    const other = await loadTiny({ t2iAdapter: light });
    const data = new Uint8Array(3 * SIZE * SIZE).map((_, i) => 10 * (Math.trunc(i / 3) % 20));
    const picture = new Image({ width: SIZE, height: SIZE, data });
    const gray = {
      data: new Float32Array(SIZE * SIZE).map((_, i) => (data[3 * i] as number) / 255),
      shape: [1, 1, SIZE, SIZE],
    };
    const expected = await latentsOf(other, { t2iAdapterImage: gray });
    expect(sameBits(await latentsOf(other, { t2iAdapterImage: picture }), expected)).toBe(true);
    expect((await rejection(latentsOf(other, { t2iAdapterImage }))).message).toMatch(/\[n, 1, h, w\]/);
    // The original code's names.
    const file = original(light, 'depth.safetensors', (name) =>
      name.replace(/^adapter\./, '').replace('.resnets.', '.body.'),
    );
    await other.unloadT2IAdapter();
    await other.loadT2IAdapter(file);
    expect(sameBits(await latentsOf(other, { t2iAdapterImage: gray }), expected)).toBe(true);
    await other.dispose();
  });

  test('come from files of the original code and of diffusers', async () => {
    const expected = await latentsOf(pipe, { t2iAdapterImage });
    await pipe.unloadT2IAdapter();
    const flat = (name: string) =>
      name
        .replace(/^adapter\./, '')
        .replace(/body\.(\d+)\.resnets\.(\d+)/, (_, i, j) => `body.${2 * Number(i) + Number(j)}`)
        .replace(/body\.(\d+)\.in_conv/, (_, i) => `body.${2 * Number(i)}.in_conv`);
    for (const rename of [flat, (name: string) => name, (name: string) => name.replace(/^adapter\./, '')]) {
      await pipe.loadT2IAdapter(original(adapter, 'sketch.safetensors', rename));
      expect(sameBits(await latentsOf(pipe, { t2iAdapterImage }), expected)).toBe(true);
      await pipe.unloadT2IAdapter();
    }
    await pipe.loadT2IAdapter(adapter);
  });

  test('are told in the settings of a picture, and give it its size', async () => {
    const { settings, images } = await pipe.generate({
      prompt: 'a',
      steps: 2,
      t2iAdapterImage,
      t2iAdapterFactor: 0.5,
    });
    expect(settings[0]).toContain('T2I-Adapters: ');
    expect(settings[0]).toContain('T2I-Adapter factor: 0.5');
    expect(images[0]).toMatchObject({ width: SIZE, height: SIZE });
  });

  test('refuse what does not fit', async () => {
    const problem = async (options: object) => (await rejection(latentsOf(pipe, options))).message;
    expect(await problem({ t2iAdapterScale: 1 })).toMatch(/t2iAdapterScale/);
    expect(await problem({ t2iAdapterImage, t2iAdapterScale: [1, 2] })).toMatch(/2 numbers for 1 T2I/);
    const load = async (name: string, fields: object) =>
      (await rejection(pipe.loadT2IAdapter(await write(name, fields)))).message;
    expect(await load('wide', { channels: CHANNELS.map((count) => 2 * count) })).toMatch(
      /wide: the T2I-Adapter is for another U-Net: its feature 0 has/,
    );
    expect(await load('short', { channels: CHANNELS.slice(1) })).toMatch(/features, this one/);
    expect(await load('xl', { adapter_type: 'full_adapter_xl' })).toMatch(/another U-Net/);
    expect(await load('coarse', { downscale_factor: 16 })).toMatch(/16 pixels a side/);
    expect((await rejection(pipe.loadT2IAdapter(FOLDER))).message).toMatch(/config\.json/);
    const other = join(FOLDER, 'unet/diffusion_pytorch_model.safetensors');
    expect((await rejection(pipe.loadT2IAdapter(other))).message).toMatch(/is no T2I-Adapter/);
    expect((await rejection(pipe.unloadT2IAdapter('other'))).message).toMatch(/"other"/);
    expect(pipe.t2iAdapters).toHaveLength(1);
  });
});

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { StableDiffusionImg2ImgPipeline, type StableDiffusionPipeline } from '../../lib/index.js';
import { AdapterFolder, values } from '../adapters/adapter-files.js';
import { distance, latentsOf, loadTiny, rejection } from '../pipelines/tiny.js';
import { writeBase, writeEncoder, writePlus } from './tiny-ip-adapter.js';

const folder = new AdapterFolder();
const embeds = { data: values([1, 24], 5, 3).data, shape: [1, 24] };
const picture = {
  data: Uint8Array.from({ length: 40 * 50 * 3 }, (_, i) => (i * 37) % 251),
  width: 40,
  height: 50,
  channels: 3,
} as const;
let pipe: StableDiffusionPipeline;
let base: string;
let plus: string;
let encoder: string;
let plain: Float32Array;

beforeAll(async () => {
  pipe = await loadTiny();
  base = writeBase(folder, 'base.safetensors', pipe);
  plus = writePlus(folder, 'plus.safetensors', pipe);
  encoder = await writeEncoder(folder);
  plain = await latentsOf(pipe);
});

afterAll(async () => {
  await pipe.dispose();
  folder.remove();
});

async function withAdapters<T>(files: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    for (const [i, file] of files.entries()) await pipe.loadIpAdapter(file, { name: `${i}` });
    return await work();
  } finally {
    await pipe.unloadIpAdapter();
  }
}

const far = (a: Float32Array, b: Float32Array) => expect(distance(a, b)).toBeGreaterThan(1e-3);

test('a picture changes the run, by its scale; none, scale 0 and no adapter are the same', async () => {
  await withAdapters([base], async () => {
    expect(pipe.ipAdapters).toMatchObject([{ name: '0', file: base, kind: 'base', tokens: 4 }]);
    expect(await latentsOf(pipe)).toEqual(plain);
    const whole = await latentsOf(pipe, { ipAdapterImageEmbeds: embeds });
    const half = await latentsOf(pipe, { ipAdapterImageEmbeds: embeds, ipAdapterScale: 0.5 });
    far(whole, plain);
    far(half, whole);
    expect(await latentsOf(pipe, { ipAdapterImageEmbeds: embeds, ipAdapterScale: 0 })).toEqual(plain);
  });
  expect(pipe.ipAdapters).toEqual([]);
  expect(await latentsOf(pipe)).toEqual(plain);
});

test('another scale prepares nothing anew, and blocks have scales of their own', async () => {
  await withAdapters([base], async () => {
    const run = (ipAdapterScale: unknown) =>
      latentsOf(pipe, { ipAdapterImageEmbeds: embeds, ipAdapterScale });
    const all = await run(0.7);
    const { plansMade } = pipe.unet;
    const byBlocks = await run({
      down: 0.7,
      mid: 0.7,
      up: { block_1: 0.7, block_2: [0.7, 0.7, 0.7], block_3: 0.7 },
    });
    expect(byBlocks).toEqual(all);
    far(await run({ up: { block_1: [0, 0.7, 0] } }), plain);
    expect(await run({ down: { block_0: 0 } })).toEqual(plain);
    expect(pipe.unet.plansMade).toBe(plansMade);
    expect((await rejection(run({ down: { block_3: 1 } }))).message).toMatch(
      /block_3 is no block that reads text/,
    );
    expect((await rejection(run({ up: { block_1: [1, 1] } }))).message).toMatch(
      /has 2 numbers for 3 attentions/,
    );
  });
});

test('several adapters add up, in the order of loading', async () => {
  const other = writeBase(folder, 'other.safetensors', pipe, 70);
  await withAdapters([base, other], async () => {
    const run = (ipAdapterScale: unknown) =>
      latentsOf(pipe, { ipAdapterImageEmbeds: [embeds, embeds], ipAdapterScale });
    const [first, second, both] = [await run([0.6, 0]), await run([0, 0.6]), await run([0.6, 0.6])];
    far(first, second);
    far(both, first);
    expect((await rejection(latentsOf(pipe, { ipAdapterImageEmbeds: embeds }))).message).toMatch(
      /must be a list of 2, one for each IP-Adapter/,
    );
  });
});

test('pictures are encoded as their embeddings say, for base and Plus; guided rows read a negative', async () => {
  await pipe.loadIpAdapter(base, { imageEncoder: encoder });
  await pipe.loadIpAdapter(plus, { imageEncoder: encoder });
  try {
    const guided = await latentsOf(pipe, { ipAdapterImage: [picture, picture] });
    far(guided, plain);
    const several = await latentsOf(pipe, { ipAdapterImage: [[picture, picture], picture] });
    far(several, plain);
    const { settings } = await pipe.generate({ prompt: 'a', steps: 2, ipAdapterImage: [picture, picture] });
    expect(settings[0]).toMatch(/IP-Adapters: .*base.safetensors.*plus.safetensors/);
    const unguided = { guidanceScale: 1, ipAdapterImage: [picture, picture] };
    far(await latentsOf(pipe, unguided), await latentsOf(pipe, { guidanceScale: 1 }));
  } finally {
    await pipe.unloadIpAdapter();
  }
});

test('cached runs read the same keys and values in all their calls', async () => {
  await withAdapters([base], async () => {
    const image = { ipAdapterImageEmbeds: embeds, steps: 6 };
    const cached = await latentsOf(pipe, { ...image, cache: { interval: 2, branch: 0 } });
    const every = await latentsOf(pipe, { ...image, cache: { interval: 1, branch: 0 } });
    expect(every).toEqual(await latentsOf(pipe, image));
    far(cached, await latentsOf(pipe, { steps: 6, cache: { interval: 2, branch: 0 } }));
  });
});

test('pipelines over the same models have the same adapters', async () => {
  await using other = StableDiffusionImg2ImgPipeline.from(pipe);
  await withAdapters([base], async () => {
    expect(other.ipAdapters).toEqual(pipe.ipAdapters);
  });
  expect(other.ipAdapters).toEqual([]);
});

test("a U-Net's costs count pictures", async () => {
  const [plainly, pictured] = [await pipe.unet.macs(), await pipe.unet.macs({ imageTokens: [4, 16] })];
  expect(pictured.complete).toBeGreaterThan(plainly.complete);
  expect(pictured.executed).toBeGreaterThan(plainly.executed);
});

test('what cannot be is refused by name', async () => {
  const says = async (work: Promise<unknown>) => (await rejection(work)).message;
  expect(await says(latentsOf(pipe, { ipAdapterImageEmbeds: embeds }))).toMatch(/of which none is loaded/);
  const wide = folder.write('wide.safetensors', {
    'image_proj.proj.weight': values([8, 24], 1),
    'ip_adapter.1.to_k_ip.weight': values([16, 32], 1),
  });
  expect(await says(pipe.loadIpAdapter(wide))).toMatch(/for 1 cross attentions, this U-Net has 16/);
  const face = folder.write('face.safetensors', { 'image_proj.proj.0.weight': values([8, 24], 1) });
  expect(await says(pipe.loadIpAdapter(face))).toMatch(/is a full-face adapter/);
  const lora = folder.write('lora.safetensors', { 'lora_unet_a.alpha': values([1], 1) });
  expect(await says(pipe.loadIpAdapter(lora))).toMatch(/is no IP-Adapter/);
  expect(pipe.ipAdapters).toEqual([]);
  await pipe.loadIpAdapter(base, { imageEncoder: encoder });
  expect(await says(pipe.loadIpAdapter(base))).toMatch(/name is taken/);
  const wrong = { data: new Float32Array(5), shape: [1, 5] };
  expect(await says(latentsOf(pipe, { ipAdapterImageEmbeds: wrong }))).toMatch(/ipAdapterImageEmbeds/);
  expect(await says(pipe.unloadIpAdapter('other'))).toMatch(/is no IP-Adapter of this pipeline/);
  await pipe.unloadIpAdapter();
});

import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, Image, type StableDiffusionPipeline } from '../../lib/index.js';
import { writeControlNet } from '../composition/made-systems.js';
import { type RawTensor, readRaw, writeRaw } from '../models/single-file/assemble.js';
import { json, writeJson, writeSd } from './made-models.js';
import { latentsOf, loadTiny, rejection, SIZE, sameBits } from './tiny.js';

// ControlNets of latents beside U-Nets whose input has more than latents: they see the latents alone.

const picture = (value: (i: number) => number) =>
  new Image({
    width: SIZE,
    height: SIZE,
    data: Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => value(i)),
  });
const image = picture((i) => (i * 7919) % 251);
const controlImage = picture((i) => (i % 7) * 36);
const maskImage = picture((i) => (i % (3 * SIZE) < 90 ? 255 : 0));

const WEIGHTS = 'diffusion_pytorch_model.safetensors';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-inputs-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The same ControlNet with as many inputs as the U-Net, of which it multiplies the last ones by zero. */
function widened(net: string, channels: number): string {
  const wide = `${net}-wide`;
  cpSync(net, wide, { recursive: true });
  writeJson(join(wide, 'config.json'), { ...json(join(net, 'config.json')), in_channels: channels });
  const tensors = readRaw(join(net, WEIGHTS)).map((tensor): RawTensor => {
    if (tensor.name !== 'conv_in.weight') return tensor;
    const [out, own, ...kernel] = tensor.shape as [number, number, number, number];
    const each = tensor.data.length / out;
    const zeros = Buffer.alloc((each / own) * (channels - own));
    const rows = Array.from({ length: out }, (_, row) => [
      tensor.data.subarray(row * each, (row + 1) * each),
      zeros,
    ]);
    return { ...tensor, shape: [out, channels, ...kernel], data: Buffer.concat(rows.flat()) };
  });
  writeRaw(join(wide, WEIGHTS), tensors);
  return wide;
}

describe.each<[string, number, object]>([
  ['StableDiffusionInpaintPipeline', 9, { maskImage, strength: 1 }],
  ['StableDiffusionInstructPix2PixPipeline', 8, {}],
  ['StableDiffusionDepth2ImgPipeline', 5, { depthMap: image, strength: 1 }],
])('%s, %d channels', (className, channels, own) => {
  let pipe: StableDiffusionPipeline;
  let net: string;
  const run = { image, ...own };
  beforeAll(async () => {
    const model = await writeSd(join(folder, className), {
      index: { _class_name: className },
      unet: { in_channels: channels },
    });
    net = await writeControlNet(model, folder, `net-${channels}`);
    pipe = (await DiffusionPipeline.fromPretrained(model, { device: 'cpu' })) as StableDiffusionPipeline;
  });
  afterAll(() => pipe.dispose());

  test('a ControlNet of four counts, held and live', async () => {
    const plain = await latentsOf(pipe, run);
    await pipe.loadControlNet(net);
    const cached = { ...run, controlImage, steps: 4, cache: { interval: 2, branch: 1 } };
    const [one, held] = [await latentsOf(pipe, { ...run, controlImage }), await latentsOf(pipe, cached)];
    expect(sameBits(one, plain)).toBe(false);
    const live = await latentsOf(pipe, { ...cached, controlCache: 'live' });
    expect(sameBits(live, held)).toBe(false);
    expect(sameBits(await latentsOf(pipe, { ...run, controlImage, controlScale: 0 }), plain)).toBe(true);

    // As one whose weights of the other channels are zeros in its file.
    await pipe.unloadControlNet();
    await pipe.loadControlNet(widened(net, channels));
    expect(sameBits(await latentsOf(pipe, { ...run, controlImage }), one)).toBe(true);
    await pipe.unloadControlNet();
  });
});

test('a ControlNet that reads more than the U-Net has is refused when it is loaded, by its file', async () => {
  const pipe = await loadTiny();
  const net = widened(
    await writeControlNet(join(folder, 'StableDiffusionInpaintPipeline'), folder, 'net'),
    9,
  );
  const { message } = await rejection(pipe.loadControlNet(net));
  expect(message).toMatch(
    /net-wide: is no ControlNet for this U-Net: it reads 9 channels of the 4 of the input/,
  );
  await pipe.dispose();
});

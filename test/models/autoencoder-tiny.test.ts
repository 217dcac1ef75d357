import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AutoencoderKL } from '../../lib/models/autoencoder-kl.js';
import { FolderSource } from '../../lib/models/folder-source.js';
import { withOverrides } from '../../lib/models/overridden-source.js';
import { native } from '../../lib/native/binding.js';
import { openBackend } from '../../lib/native/device.js';
import { countOf, type Tensor } from '../../lib/tensor.js';
import { FOLDER } from '../native-addon/tiny-model.js';

// Autoencoders with synthetic weights, beside their layers written down once more.

const TINY = {
  _class_name: 'AutoencoderTiny',
  encoder_block_out_channels: [4, 4],
  decoder_block_out_channels: [4, 4],
  num_encoder_blocks: [1, 1],
  num_decoder_blocks: [1, 1],
  latent_channels: 3,
};
const ASYMMETRIC = {
  _class_name: 'AsymmetricAutoencoderKL',
  down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
  up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
  down_block_out_channels: [4, 8],
  up_block_out_channels: [8, 12],
  layers_per_down_block: 1,
  layers_per_up_block: 2,
  norm_num_groups: 2,
};

const root = mkdtempSync(join(tmpdir(), 'deepcache-tiny-'));
afterAll(() => rmSync(root, { recursive: true }));

async function load(name: string, config: object): Promise<AutoencoderKL> {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  const text = JSON.stringify(config);
  writeFileSync(join(folder, 'config.json'), text);
  const path = join(folder, 'diffusion_pytorch_model.safetensors');
  const tensors = native().weightShapes('vae', text);
  await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
  const source = new FolderSource(folder);
  return AutoencoderKL.load(openBackend({ device: 'cpu' }), await source.network(''));
}

const ramp = (shape: readonly number[], step = 0.37): Tensor => ({
  data: Float32Array.from({ length: countOf(shape) }, (_, i) => Math.sin(step * i)),
  shape,
});

let tiny: AutoencoderKL;
beforeAll(async () => {
  tiny = await load('tiny', TINY);
});
afterAll(() => tiny.dispose());

/** A 3x3 convolution of [1, c, h, w] by synthetic weights. */
function conv(x: Tensor, name: string, out: number, { stride = 1, bias = true } = {}): Tensor {
  const [, c = 0, h = 0, w = 0] = x.shape;
  const weight = native().synthesize(`${name}.weight`, [out, c, 3, 3]);
  const add = bias ? native().synthesize(`${name}.bias`, [out]) : new Float32Array(out);
  const [height, width] = [Math.ceil(h / stride), Math.ceil(w / stride)];
  const data = new Float32Array(out * height * width);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < height * width; i++) {
      let sum = add[o] as number;
      for (let k = 0; k < c * 9; k++) {
        const [channel, dy, dx] = [Math.floor(k / 9), (Math.floor(k / 3) % 3) - 1, (k % 3) - 1];
        const [y, column] = [Math.floor(i / width) * stride + dy, (i % width) * stride + dx];
        if (y < 0 || y >= h || column < 0 || column >= w) continue;
        sum += (weight[o * c * 9 + k] as number) * (x.data[(channel * h + y) * w + column] as number);
      }
      data[o * height * width + i] = sum;
    }
  }
  return { data, shape: [1, out, height, width] };
}
const map = ({ data, shape }: Tensor, change: (value: number, i: number) => number): Tensor => ({
  data: data.map(change),
  shape,
});
const relu = (x: Tensor) => map(x, (value) => Math.max(0, value));
const block = (x: Tensor, name: string) => {
  const h = relu(conv(relu(conv(x, `${name}.conv.0`, 4)), `${name}.conv.2`, 4));
  return relu(map(conv(h, `${name}.conv.4`, 4), (value, i) => value + (x.data[i] as number)));
};
const twice = ({ data, shape: [n = 0, c = 0, h = 0, w = 0] }: Tensor): Tensor => ({
  data: Float32Array.from({ length: 4 * c * h * w }, (_, i) => {
    const [row, x] = [Math.floor(i / (2 * w)), i % (2 * w)];
    return data[(Math.floor(row / (2 * h)) * h + ((row % (2 * h)) >> 1)) * w + (x >> 1)] as number;
  }),
  shape: [n, c, 2 * h, 2 * w],
});
const close = (actual: Tensor, expected: Tensor) => {
  expect(actual.shape).toEqual(expected.shape);
  for (let i = 0; i < expected.data.length; i++) {
    expect(actual.data[i]).toBeCloseTo(expected.data[i] as number, 4);
  }
};

test('an AutoencoderTiny encodes to latents', async () => {
  const image = ramp([1, 3, 6, 10]);
  let x = conv(
    map(image, (value) => (value + 1) / 2),
    'encoder.layers.0',
    4,
  );
  x = conv(block(x, 'encoder.layers.1'), 'encoder.layers.2', 4, { stride: 2, bias: false });
  x = conv(block(x, 'encoder.layers.3'), 'encoder.layers.4', 3);
  expect(tiny.hasPosterior).toBe(false);
  close(await tiny.encode(image), x);
});

test('and decodes them', async () => {
  const z = map(ramp([1, 3, 5, 4]), (value) => 5 * value);
  let x = relu(
    conv(
      map(z, (value) => 3 * Math.tanh(value / 3)),
      'decoder.layers.0',
      4,
    ),
  );
  x = conv(twice(block(x, 'decoder.layers.2')), 'decoder.layers.4', 4, { bias: false });
  x = map(conv(block(x, 'decoder.layers.5'), 'decoder.layers.6', 3), (value) => 2 * value - 1);
  close(await tiny.decode(z), x);
});

test('its tiles lie over each other under a mask', async () => {
  const z = ramp([1, 3, 4, 10]);
  const out = await tiny.decode(z, { tiling: { tile: 16, overlap: 8 } });
  const crop = (from: number, to: number): Tensor => ({
    data: Float32Array.from({ length: 3 * 4 * (to - from) }, (_, i) => {
      const [row, x] = [Math.floor(i / (to - from)), i % (to - from)];
      return z.data[row * 10 + from + x] as number;
    }),
    shape: [1, 3, 4, to - from],
  });
  const [first, second] = [await tiny.decode(crop(0, 8)), await tiny.decode(crop(4, 10))];
  // Pixel 8 is the first of the strip, where the first tile is seen alone; 15 its last.
  const at = (tile: Tensor, width: number, y: number, x: number) => tile.data[y * width + x] as number;
  for (const y of [0, 7]) {
    for (const x of [0, 8, 11, 15, 19]) {
      const t = x < 8 ? 0 : Math.min(1, (x - 8) / 7);
      const left = x < 16 ? at(first, 16, y, x) : 0;
      const right = x < 8 ? 0 : at(second, 12, y, x - 8);
      // The third tile begins at 16 and changes what is there after its own first pixel.
      if (x > 16) continue;
      expect(at(out, 20, y, x)).toBeCloseTo((1 - t) * left + t * right, 4);
    }
  }
  const narrow = tiny.encode(ramp([1, 3, 8, 20]), { tiling: { tile: 8, overlap: 2 } });
  await expect(narrow).rejects.toThrow('vaeTiling.overlap must be more than one pixel');
});

test.each([
  [{ encoder_block_out_channels: [4, 8] }, 'levels of several widths'],
  [{ num_decoder_blocks: [1] }, 'differ in their lengths'],
  [{ upsampling_scaling_factor: 3 }, 'must be 2'],
  [{ act_fn: 'sine' }, 'act_fn'],
])('%j is refused', async (fields, message) => {
  await expect(load('wrong', { ...TINY, ...fields })).rejects.toThrow(message);
});

test('an AsymmetricAutoencoderKL sees the picture where its mask is 0', async () => {
  const vae = await load('asymmetric', ASYMMETRIC);
  const z = ramp([1, 4, 16, 16]);
  const image = ramp([1, 3, 32, 32], 0.11);
  const mask = (value: (x: number) => number) => ({
    data: Float32Array.from({ length: 32 * 32 }, (_, i) => value(i % 32)),
    shape: [1, 1, 32, 32],
  });
  const plain = await vae.decode(z);
  // A mask of ones everywhere keeps nothing of the picture; one of zeros nothing of the latents.
  close(await vae.decodeMasked(z, { image, mask: mask(() => 1) }), plain);
  const none = await vae.decodeMasked(z, { image, mask: mask(() => 0) });
  close(await vae.decodeMasked(ramp([1, 4, 16, 16], 0.9), { image, mask: mask(() => 0) }), none);
  const half = await vae.decodeMasked(z, { image, mask: mask((x) => (x < 16 ? 1 : 0)) });
  expect(half.data).not.toEqual(plain.data);
  expect(half.data).not.toEqual(none.data);
  const masked = tiny.decodeMasked(ramp([1, 3, 4, 4]), {
    image: ramp([1, 3, 8, 8]),
    mask: ramp([1, 1, 8, 8]),
  });
  await expect(masked).rejects.toThrow('decoder takes no picture and mask');
  vae.dispose();
});

test('a file alone says what it is, and makes the model of its folder', async () => {
  const file = join(root, 'tiny', 'diffusion_pytorch_model.safetensors');
  const source = await withOverrides(new FolderSource(FOLDER), { vae: file });
  const found = await source.network('vae');
  expect(found.config).toMatchObject(TINY);
  const alone = await AutoencoderKL.load(openBackend({ device: 'cpu' }), found);
  const latents = { ...ramp([1, 3, 4, 4]), batch: 1, height: 4, width: 4 };
  const [one, other] = [
    await alone.native.decode(latents).promise,
    await tiny.native.decode(latents).promise,
  ];
  expect(one.data).toEqual(other.data);
  alone.dispose();
});

test('half of one, as its authors publish it, is refused by name', async () => {
  const path = join(root, 'taesd_decoder.safetensors');
  const tensors = [
    { name: '1.weight', shape: [4, 4, 3, 3] },
    { name: '3.conv.0.weight', shape: [4, 4, 3, 3] },
    { name: '3.conv.4.weight', shape: [4, 4, 3, 3] },
  ];
  await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
  await expect(withOverrides(new FolderSource(FOLDER), { vae: path })).rejects.toMatchObject({
    code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
    message: expect.stringMatching(/^vae is .*taesd_decoder.*half of an AutoencoderTiny/),
  });
});

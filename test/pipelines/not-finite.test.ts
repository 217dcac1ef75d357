import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, StableDiffusionImg2ImgPipeline } from '../../lib/index.js';
import { copyModel } from './broken-models.js';
import { rejection } from './tiny.js';

// Weights that are not numbers: an error that names the model and the place, never a black picture.

const VAE = 'vae/diffusion_pytorch_model.safetensors';
const UNET = 'unet/diffusion_pytorch_model.safetensors';
const TEXT = 'text_encoder/model.safetensors';

/** Overwrites the first value of a tensor, which is F32 or F16. */
function setFirst(file: string, name: string, value: number): void {
  const bytes = readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const { dtype, data_offsets } = JSON.parse(bytes.toString('utf8', 8, end))[name];
  const at = end + data_offsets[0];
  if (dtype === 'F32') bytes.writeFloatLE(value, at);
  else bytes.writeUInt16LE(Number.isNaN(value) ? 0x7e00 : 0x7c00, at);
  writeFileSync(file, bytes);
}

let folder = '';
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function load(part: string, tensor: string, value: number) {
  folder = copyModel();
  setFirst(join(folder, part), tensor, value);
  return DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
}

const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64, channels: 3 } as const;

describe.each([Number.NaN, Number.POSITIVE_INFINITY])('%p', (value) => {
  test.each<[string, string, RegExp]>([
    [VAE, 'decoder.conv_in.bias', /autoencoder's decoder .*"decoder\.conv_in\.bias" of .*vae/],
    [UNET, 'conv_in.weight', /U-Net, at call 1 of \d+, .*"conv_in\.weight" of .*unet/],
    [
      TEXT,
      'text_model.final_layer_norm.bias',
      /text encoder .*"text_model\.final_layer_norm\.bias" of .*text_enc/,
    ],
  ])('in %s: %s', async (part, tensor, message) => {
    const pipe = await load(part, tensor, value);
    for (const output of part === VAE ? (['image', 'float32'] as const) : (['image', 'latent'] as const)) {
      expect(await rejection(pipe.generate({ prompt: 'a', steps: 3, output }))).toMatchObject({
        code: 'ERR_DEEPCACHE_NOT_FINITE',
        message: expect.stringMatching(message),
      });
    }
    await pipe.dispose();
  });
});

test('in the encoder of pictures', async () => {
  const pipe = await load(VAE, 'encoder.conv_out.bias', Number.NaN);
  const edit = StableDiffusionImg2ImgPipeline.from(pipe);
  expect(await rejection(edit.generate({ prompt: 'a', image, steps: 2 }))).toMatchObject({
    code: 'ERR_DEEPCACHE_NOT_FINITE',
    message: expect.stringMatching(/autoencoder's encoder .*"encoder\.conv_out\.bias"/),
  });
  // What does not need it works.
  expect((await pipe.generate({ prompt: 'a', steps: 2 })).images).toHaveLength(1);
  await edit.dispose();
  await pipe.dispose();
});

test('made by weights that are numbers: the layer is named', async () => {
  folder = copyModel();
  // Two factors that multiply to more than a float holds.
  setFirst(join(folder, VAE), 'decoder.conv_norm_out.weight', 3e38);
  setFirst(join(folder, VAE), 'decoder.conv_norm_out.bias', 3e38);
  const large = await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
  expect(await rejection(large.generate({ prompt: 'a', steps: 2 }))).toMatchObject({
    code: 'ERR_DEEPCACHE_NOT_FINITE',
    message: expect.stringMatching(/autoencoder's decoder .* appear first in \S+/),
  });
  await large.dispose();
});

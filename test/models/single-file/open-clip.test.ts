import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CLIPVisionModelWithProjection } from '../../../lib/models/image-encoder.js';
import type { NetworkFiles } from '../../../lib/models/model-files.js';
import { Checkpoint } from '../../../lib/models/single-file/checkpoint.js';
import { layoutOf } from '../../../lib/models/single-file/layouts.js';
import { networkIn } from '../../../lib/models/single-file/network.js';
import { CLIPTextModel } from '../../../lib/models/text-encoder.js';
import { native } from '../../../lib/native/binding.js';
import { openBackend } from '../../../lib/native/device.js';
import type { ModelKind } from '../../../lib/native/types.js';
import { sameBits } from '../../pipelines/tiny.js';
import { assembleNetwork, type RawTensor, readRaw, writeRaw } from './assemble.js';

// Encoders under the names of open_clip are those under the names of transformers, to the last bit.

const SIZES = {
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 2,
  num_hidden_layers: 2,
  hidden_act: 'gelu',
};
const TEXT = {
  ...SIZES,
  architectures: ['CLIPTextModelWithProjection'],
  model_type: 'clip_text_model',
  projection_dim: 24,
  vocab_size: 50,
};
const VISION = {
  ...SIZES,
  architectures: ['CLIPVisionModelWithProjection'],
  model_type: 'clip_vision_model',
  projection_dim: 24,
  image_size: 32,
  patch_size: 16,
};

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'deepcache-open-clip-'));
});
afterAll(() => rmSync(place, { recursive: true }));

/** An encoder of synthetic weights: in a folder, and in a checkpoint with a prefix and what is not read. */
async function twice(
  kind: ModelKind,
  part: string,
  prefix: string,
  config: object,
  dtype: 'float16' | 'float32',
): Promise<[NetworkFiles, NetworkFiles]> {
  const folder = join(place, `${part}-${dtype}`);
  mkdirSync(folder);
  const path = join(folder, 'model.safetensors');
  const text = JSON.stringify(config);
  await native().writeSynthetic({ path, tensors: native().weightShapes(kind, text), dtype }).promise;
  const extras: RawTensor[] = ['logit_scale', 'attn_mask', 'transformer.resblocks.2.ln_1.weight'].map(
    (name) => ({
      name: prefix + name,
      dtype: 'F32',
      shape: [1],
      data: Buffer.alloc(4, 0xff),
    }),
  );
  const file = join(place, `${part}-${dtype}.safetensors`);
  writeRaw(file, [...assembleNetwork(readRaw(path), prefix), ...extras]);
  const checkpoint = await Checkpoint.open(file);
  const layout = layoutOf(checkpoint, part);
  if (!layout) throw new Error('no layout');
  const found = { path: 'config.json', text, value: config as Record<string, unknown> };
  const own = networkIn(checkpoint, part, layout, found);
  const { tensors: _, ...inFolder } = { ...own, place: folder, files: [path] };
  return [inFolder, own];
}

describe.each(['float16', 'float32'] as const)('of %s', (dtype) => {
  test('the text encoder of SD 2 and the second one of SDXL', async () => {
    const pair = await twice('text_encoder', 'text_encoder_2', 'conditioner.embedders.1.model.', TEXT, dtype);
    const ids = Int32Array.from({ length: 77 }, (_, i) => (i * 7) % 50);
    const outputs: Float32Array[][] = [];
    for (const found of pair) {
      const encoder = await CLIPTextModel.load(openBackend({ device: 'cpu' }), found);
      const { last, pooled } = await encoder.encode(ids, 1);
      outputs.push([last, pooled]);
      encoder.dispose();
    }
    for (const i of [0, 1]) {
      expect(sameBits(outputs[0]?.[i] as Float32Array, outputs[1]?.[i] as Float32Array)).toBe(true);
    }
    expect(outputs[0]?.[1]).toHaveLength(24);
  });

  test('the image encoder of Stable Video Diffusion', async () => {
    const prefix = 'conditioner.embedders.0.open_clip.model.visual.';
    const pair = await twice('image_encoder', 'image_encoder', prefix, VISION, dtype);
    const pixels = {
      data: Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i)),
      shape: [1, 3, 32, 32],
    };
    const outputs: Float32Array[] = [];
    for (const found of pair) {
      const encoder = await CLIPVisionModelWithProjection.load(openBackend({ device: 'cpu' }), found);
      outputs.push((await encoder.encode(pixels)).embeds);
      encoder.dispose();
    }
    expect(sameBits(outputs[0] as Float32Array, outputs[1] as Float32Array)).toBe(true);
  });
});

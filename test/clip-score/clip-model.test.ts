import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ClipModel } from '../../lib/clip-score/index.js';
import { clipPixels } from '../../lib/images/clip-picture.js';
import { Image } from '../../lib/images/image.js';
import { CLIPVisionModelWithProjection } from '../../lib/models/image-encoder.js';
import { findModel } from '../../lib/models/model-files.js';
import { CLIPTextModel } from '../../lib/models/text-encoder.js';
import { native } from '../../lib/native/binding.js';
import { openBackend } from '../../lib/native/device.js';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';
import { safetensors, values } from '../adapters/adapter-files.js';
import { runCli } from '../cli-run.js';
import { FOLDER, rejection } from '../pipelines/tiny.js';

// A whole CLIP model with few channels and made-up weights.

const TEXTS = ['a red house', 'a lighthouse at night', 'zebra', '1', 'two dogs', 'sky, sky, sky'];
const CONFIG = {
  architectures: ['CLIPModel'],
  model_type: 'clip',
  projection_dim: 24,
  text_config: {
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    vocab_size: 1000,
    eos_token_id: 999,
  },
  vision_config: {
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    image_size: 32,
    patch_size: 8,
  },
};

let folder: string;
const picture = (seed: number) =>
  new Image({
    width: 40,
    height: 32,
    data: Uint8Array.from({ length: 40 * 32 * 3 }, (_, i) => (i * seed) % 251),
  });
const pictures = [7, 13, 29, 1, 101, 50].map(picture);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-clip-'));
  cpSync(join(FOLDER, 'tokenizer'), folder, { recursive: true });
  const text = JSON.stringify({ ...CONFIG, architectures: ['CLIPTextModelWithProjection'] });
  const tensors = [
    ...native().weightShapes('text_encoder', text),
    ...native().weightShapes('image_encoder', JSON.stringify(CONFIG)),
  ];
  const weights = Object.fromEntries(tensors.map(({ name, shape }, i) => [name, values(shape, i, 1)]));
  writeFileSync(join(folder, 'model.safetensors'), safetensors(weights));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a score is 100 times the cosine of the two embeddings, and no less than 0', async () => {
  await using clip = await ClipModel.fromPretrained(folder, { device: 'cpu' });
  const scores = await clip.scores(pictures, TEXTS);
  const backend = openBackend({ device: 'cpu' });
  const found = await findModel(folder, 'model');
  const [text, vision] = [
    await CLIPTextModel.load(backend, found),
    await CLIPVisionModelWithProjection.load(backend, found),
  ];
  const tokenizer = await CLIPTokenizer.fromPretrained(folder);
  for (const [i, words] of TEXTS.entries()) {
    const { pooled } = await text.encode(tokenizer.encodePadded(words), 1);
    const { embeds } = await vision.encode(await clipPixels(pictures[i] as Image, 32));
    expect(pooled).toHaveLength(24);
    const dot = (a: Float32Array, b: Float32Array) =>
      a.reduce((sum, value, k) => sum + value * (b[k] as number), 0);
    const cosine = dot(pooled, embeds) / Math.sqrt(dot(pooled, pooled) * dot(embeds, embeds));
    expect(scores[i]).toBeCloseTo(Math.max(0, 100 * cosine), 3);
  }
  // Something is compared at all.
  expect(Math.max(...scores)).toBeGreaterThan(0);
  expect(new Set(scores).size).toBeGreaterThan(2);
  const { message } = await rejection(clip.scores(pictures, ['a']));
  expect(message).toMatch(/texts must be one for each of 6 pictures, got 1/);
  expect(await clip.scores([], [])).toEqual([]);
  text.dispose();
  vision.dispose();
});

test('quality has a column of it, and refuses what is no CLIP model', async () => {
  const run = [
    'quality',
    '-m',
    FOLDER,
    '-p',
    'a dog',
    '--steps',
    '2',
    '--cache',
    'interval=2',
    '--repeats',
    '1',
  ];
  const { code, out } = await runCli([...run, '--clip', folder, '--json']);
  expect(code).toBe(0);
  const [reference, cached] = JSON.parse(out).rows;
  expect(reference.clipScore).toBeGreaterThanOrEqual(0);
  expect(cached.clipScore).toBeGreaterThanOrEqual(0);
  expect((await runCli([...run, '--clip', folder])).out).toMatch(/CLIP/);
  expect((await runCli(run)).out).not.toMatch(/CLIP/);
  const wrong = await runCli([...run, '--clip', join(FOLDER, 'unet')]);
  expect(wrong.code).toBe(1);
  expect(wrong.err).toContain(join(FOLDER, 'unet'));
});

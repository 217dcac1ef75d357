import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionPipeline,
} from '../../lib/index.js';
import { copyModel } from './broken-models.js';
import { distance, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// Options that save memory: tiles for the autoencoder, a text encoder that goes after use.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

describe('vaeTiling', () => {
  const run = { prompt: 'a lighthouse', steps: 2, seed: 7, output: 'float32' } as const;
  const pixels = async (options: object) =>
    (await pipe.generate({ ...run, ...options })).tensor?.data as Float32Array;

  test('a picture of the size of a tile is decoded in one piece', async () => {
    expect(pipe.vae.sampleSize).toBe(64);
    const expected = await pixels({});
    expect(sameBits(await pixels({ vaeTiling: true }), expected)).toBe(true);
    expect(sameBits(await pixels({ vaeTiling: false }), expected)).toBe(true);
  });

  test('a larger one is decoded tile by tile, the first of them as if it were alone', async () => {
    const { tensor: latents } = await pipe.generate({ ...run, output: 'latent', width: 136, height: 80 });
    const tiled = await pixels({ width: 136, height: 80, vaeTiling: true });
    expect(tiled).toHaveLength(3 * 136 * 80);
    // The upper left tile: 8 x 8 latent pixels, of which 6 x 6 are not blended with others.
    const data = new Float32Array(4 * 64);
    for (let i = 0; i < data.length; i++) {
      const [c, y, x] = [i >> 6, (i >> 3) & 7, i & 7];
      data[i] = (latents?.data[(c * 10 + y) * 17 + x] as number) / pipe.vae.scalingFactor;
    }
    const alone = await pipe.vae.decode({ data, shape: [1, 4, 8, 8] });
    for (let i = 0; i < 3 * 48 * 48; i++) {
      const [c, y, x] = [Math.floor(i / 48 / 48), Math.floor(i / 48) % 48, i % 48];
      const value = Math.min(1, Math.max(0, (alone.data[(c * 64 + y) * 64 + x] as number) / 2 + 0.5));
      expect(tiled[(c * 80 + y) * 136 + x]).toBeCloseTo(value, 6);
    }
  });

  test('tiles differ from one piece, the less the larger they are', async () => {
    const size = { width: 128, height: 128 };
    const whole = await pixels(size);
    const small = distance(await pixels({ ...size, vaeTiling: { tileSize: 32, overlap: 8 } }), whole);
    const large = distance(await pixels({ ...size, vaeTiling: { tileSize: 96 } }), whole);
    expect(large).toBeGreaterThan(0);
    expect(large).toBeLessThan(small);
    expect(small).toBeLessThan(0.3);
    expect(sameBits(await pixels({ ...size, vaeTiling: { tileSize: 128 } }), whole)).toBe(true);
  });

  test('images of a batch are tiled each for itself', async () => {
    const options = { width: 96, height: 64, vaeTiling: true, numImages: 2 };
    const { seed: _, ...rest } = run;
    const both = await pipe.generate({ ...rest, ...options, seeds: [1, 2] });
    const second = await pixels({ width: 96, height: 64, vaeTiling: true, seed: 2 });
    expect(distance(both.tensor?.data.subarray(second.length) as Float32Array, second)).toBeLessThan(1e-5);
  });

  test('plans less memory for decoding and encoding', async () => {
    const size = { height: 128, width: 96 };
    const tiling = { tile: 64, overlap: 16 };
    const [tile, less] = [
      { height: 8, width: 8 },
      { height: 4, width: 4 },
    ];
    const bytes = await pipe.vae.decodeBytes(size, { tiling });
    expect(bytes).toBe(await pipe.vae.decodeBytes(tile));
    expect(await pipe.vae.encodeBytes(size, { tiling })).toBe(await pipe.vae.encodeBytes(tile));
    expect(await pipe.vae.decodeBytes(less, { tiling })).toBeLessThan(bytes);
  });

  test('image to image encodes in tiles', async () => {
    const variation = StableDiffusionImg2ImgPipeline.from(pipe);
    const data = Float32Array.from({ length: 3 * 64 * 128 }, (_, i) => 0.5 + 0.5 * Math.sin(i / 50));
    const image = { data, shape: [1, 3, 64, 128] };
    const options = { prompt: 'a', seed: 1, steps: 4, output: 'latent', image } as const;
    const latents = async (more: object) =>
      (await variation.generate({ ...options, ...more })).tensor?.data as Float32Array;
    const whole = await latents({});
    const tiled = distance(await latents({ vaeTiling: true }), whole);
    expect(tiled).toBeGreaterThan(0);
    expect(tiled).toBeLessThan(0.5);
    expect(sameBits(await latents({ vaeTiling: { tileSize: 128 } }), whole)).toBe(true);
    await variation.dispose();
  });

  test('is named in the settings of the file', async () => {
    const { images } = await pipe.generate({ prompt: 'a', steps: 1, vaeTiling: { tileSize: 48 } });
    expect(images[0]?.metadata.parameters).toContain('VAE tiles: 48 overlap 8');
  });
});

describe('unloadTextEncoder', () => {
  let other: StableDiffusionPipeline;
  let folder: string;
  beforeAll(async () => {
    folder = copyModel();
    const loading = DiffusionPipeline.fromPretrained(folder, {
      device: 'cpu',
      log: () => {},
      unloadTextEncoder: true,
    });
    other = (await loading) as StableDiffusionPipeline;
  });
  afterAll(async () => {
    await other.dispose();
    rmSync(folder, { recursive: true });
  });

  test('the encoder is there while prompts are encoded, and only then', async () => {
    expect(other).toBeInstanceOf(StableDiffusionPipeline);
    expect(other.textEncoder.weightBytes).toBe(0);
    expect(pipe.textEncoder.weightBytes).toBeGreaterThan(100_000);
    const expected = await latentsOf(pipe);
    for (let i = 0; i < 3; i++) {
      expect(sameBits(await latentsOf(other), expected)).toBe(true);
      expect(other.textEncoder.weightBytes).toBe(0);
    }
  });

  test('the statistics of a run count what is there', async () => {
    const run = { prompt: 'a', steps: 1 } as const;
    const [kept, freed] = [await pipe.generate(run), await other.generate(run)];
    const bytes = pipe.textEncoder.weightBytes;
    expect(kept.stats.memory.weights - freed.stats.memory.weights).toBe(bytes);
  });

  test('what it knows about itself stays', async () => {
    expect(other.textEncoder).toMatchObject({ width: 32, layers: 3, maxLength: 77, vocabSize: 1000 });
    const encode = (one: StableDiffusionPipeline) =>
      one.textEncoder.encode(one.tokenizer.encodePadded('a cat'), 1);
    expect(sameBits((await encode(other)).last, (await encode(pipe)).last)).toBe(true);
    expect(other.textEncoder.weightBytes).toBe(0);
  });

  test('pipelines that share it do not take it from each other', async () => {
    const variation = StableDiffusionImg2ImgPipeline.from(other);
    const expected = await latentsOf(pipe);
    const image = { data: new Float32Array(3 * 64 * 64), shape: [1, 3, 64, 64] };
    const runs = Array.from({ length: 8 }, async (_, i) => {
      if (i % 2 === 0) return sameBits(await latentsOf(other), expected);
      const { stats } = await variation.generate({ prompt: 'a', steps: 2, image });
      return stats.calls > 0;
    });
    expect(await Promise.all(runs)).toEqual(Array(8).fill(true));
    expect(other.textEncoder.weightBytes).toBe(0);
    await variation.dispose();
  });

  test('weights that are gone are named, and the pipeline works on when they are back', async () => {
    const file = join(folder, 'text_encoder/model.safetensors');
    const expected = await latentsOf(pipe);
    renameSync(file, `${file}.away`);
    const error = await rejection(latentsOf(other));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(error.message).toContain(file);
    renameSync(`${file}.away`, file);
    expect(sameBits(await latentsOf(other), expected)).toBe(true);
  });

  test('an abort while it is loaded leaves nothing', async () => {
    const controller = new AbortController();
    const running = latentsOf(other, { signal: controller.signal });
    controller.abort(new Error('stop'));
    expect(await rejection(running)).toMatchObject({ message: 'stop' });
    expect(other.textEncoder.weightBytes).toBe(0);
  });

  test('embeddings need no encoder', async () => {
    const { last } = await pipe.textEncoder.encode(pipe.tokenizer.encodePadded(['a', '']), 2);
    const row = (i: number) => ({ data: last.slice(i * 77 * 32, (i + 1) * 77 * 32), shape: [1, 77, 32] });
    const file = join(folder, 'text_encoder/model.safetensors');
    renameSync(file, `${file}.away`);
    const latents = await latentsOf(other, { promptEmbeds: row(0), negativePromptEmbeds: row(1) });
    renameSync(`${file}.away`, file);
    expect(sameBits(latents, await latentsOf(pipe, { prompt: 'a' }))).toBe(true);
  });

  test('dispose is dispose', async () => {
    const third = await loadTiny({ unloadTextEncoder: true });
    await third.dispose();
    expect(await rejection(third.textEncoder.encode(new Int32Array(77), 1))).toMatchObject({
      code: 'ERR_DEEPCACHE_DISPOSED',
    });
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Image, type StableDiffusionPipeline } from '../../lib/index.js';
import { LATENT, loadTiny, numbersOf, SIZE } from './tiny.js';

// What comes out: images, numbers, notes and figures of the run.

let pipe: StableDiffusionPipeline;
let folder: string;
beforeAll(async () => {
  pipe = await loadTiny();
  folder = mkdtempSync(join(tmpdir(), 'deepcache-output-'));
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

const run = { prompt: 'a lighthouse', steps: 3, seed: 7 } as const;

describe('output', () => {
  test('image is the default: 8-bit RGB, no tensor', async () => {
    const { images, tensor } = await pipe.generate({ ...run, numImages: 2 });
    expect(tensor).toBeUndefined();
    expect(images).toHaveLength(2);
    for (const image of images) {
      expect(image).toMatchObject({ width: SIZE, height: SIZE, channels: 3 });
      expect(image.data).toHaveLength(SIZE * SIZE * 3);
    }
    expect(Buffer.from(images[0]?.data as Uint8Array).equals(images[1]?.data as Uint8Array)).toBe(false);
  });

  test('float32 has the same pixels as numbers from 0 to 1', async () => {
    const { images, tensor } = await pipe.generate({ ...run, numImages: 2, output: 'float32' });
    expect(images).toEqual([]);
    expect(tensor?.shape).toEqual([2, 3, SIZE, SIZE]);
    const data = numbersOf({ tensor });
    expect(data).toHaveLength(2 * 3 * SIZE * SIZE);
    expect(data.every((value) => value >= 0 && value <= 1)).toBe(true);
    const pixels = await pipe.generate({ ...run, numImages: 2 });
    (await Image.fromFloatBatch(data, SIZE, SIZE)).forEach((image, i) => {
      expect(Buffer.from(image.data).equals(pixels.images[i]?.data as Uint8Array)).toBe(true);
    });
  });

  test('latent is what the VAE decodes to the pixels', async () => {
    const { images, tensor } = await pipe.generate({ ...run, output: 'latent' });
    expect(images).toEqual([]);
    expect(tensor?.shape).toEqual([1, 4, 8, 8]);
    expect(tensor?.data).toHaveLength(LATENT);
    const scaled = numbersOf({ tensor }).map((value) => value / pipe.vae.scalingFactor);
    const decoded = await pipe.vae.decode({ data: scaled, shape: [1, 4, 8, 8] });
    const pixels = await pipe.generate(run);
    const image = await Image.fromFloat(decoded.data, SIZE, SIZE, 'signed');
    const different = image.data.filter(
      (value, i) => Math.abs(value - (pixels.images[0]?.data[i] as number)) > 1,
    );
    expect(different).toHaveLength(0);
  });
});

describe('settings in the file', () => {
  const saved = async (options: object): Promise<string> => {
    const { images } = await pipe.generate({ ...run, ...options });
    const path = join(folder, 'image.png');
    await images.at(-1)?.save(path);
    return (await Image.open(path)).metadata.parameters as string;
  };

  test('PNG keeps prompt, seed, size, sampler and cache', async () => {
    const cache = { interval: 2, branch: 1 };
    const text = await saved({
      negativePrompt: 'fog',
      guidanceScale: 5,
      width: 72,
      scheduler: 'DDIM',
      eta: 0.5,
      clipSkip: 1,
      cache,
    });
    expect(text.split('\n')[0]).toBe('a lighthouse');
    expect(text.split('\n')[1]).toBe('Negative prompt: fog');
    for (const part of [
      'Steps: 3',
      'CFG scale: 5',
      'Seed: 7',
      'Size: 72x64',
      'Sampler: DDIM',
      'Eta: 0.5',
      // As the web UI counts.
      'Clip skip: 2',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toContain(`DeepCache: ${JSON.stringify('{"interval":2,"branch":1}')}`);
  });

  test('a drawn seed is the one in the file', async () => {
    const { images, seeds } = await pipe.generate({ prompt: 'a', steps: 1 });
    expect(images[0]?.metadata.parameters).toContain(`Seed: ${seeds[0]}`);
  });

  test('each image of a batch has its prompt and its seed, or its place', async () => {
    const prompt = ['first', 'second'];
    expect(await saved({ prompt, seed: undefined, seeds: [5, 6] })).toMatch(/^second\n.*Seed: 6/s);
    expect(await saved({ prompt })).toMatch(/^second\n.*Seed: 7, Batch size: 2, Batch position: 1/s);
  });

  test('letters of all scripts survive', async () => {
    expect(await saved({ prompt: 'ein Häuschen, 灯台 🗼' })).toContain('ein Häuschen, 灯台 🗼');
  });
});

describe('notes', () => {
  test('a run as expected has none', async () => {
    expect((await pipe.generate({ ...run, output: 'latent' })).notes).toEqual([]);
  });

  test('tell what was cut off of a long prompt', async () => {
    const long = `${'cat '.repeat(75)}zebra`;
    const { notes } = await pipe.generate({ ...run, prompt: long, output: 'latent' });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/^prompt is too long.*zebra/);
  });

  test('tell which text of a list, and whether it is a negative one', async () => {
    const long = `${'cat '.repeat(75)}zebra`;
    const { notes } = await pipe.generate({
      ...run,
      prompt: ['a', long],
      negativePrompt: long,
      output: 'latent',
    });
    expect(notes.map((note) => note.split(' ')[0]).sort()).toEqual(['negativePrompt', 'prompt[1]']);
  });

  test('tell that a preset was not used in a run of few steps', async () => {
    const few = await pipe.generate({ ...run, cache: 'fast', scheduler: 'DDIM', steps: 8, output: 'latent' });
    expect(few.notes).toHaveLength(1);
    expect(few.notes[0]).toContain("'fast'");
    expect(few.stats.retrieveCalls).toBe(0);
    const enough = await pipe.generate({
      ...run,
      cache: 'fast',
      scheduler: 'DDIM',
      steps: 9,
      output: 'latent',
    });
    expect(enough.notes).toEqual([]);
    expect(enough.stats).toMatchObject({ fullCalls: 2, retrieveCalls: 7 });
  });
});

test('stats tell times, calls and memory', async () => {
  const { stats } = await pipe.generate({ ...run, scheduler: 'DDIM', steps: 10, cache: { interval: 3 } });
  expect(stats).toMatchObject({ calls: 10, fullCalls: 4, retrieveCalls: 6 });
  const { encode, prepare, denoise, decode, total } = stats.times;
  for (const time of [encode, prepare, denoise, decode]) expect(time).toBeGreaterThan(0);
  expect(encode + prepare + denoise + decode).toBeCloseTo(total, 5);
  expect(stats.speedup).toBeGreaterThan(0);
  const { weights, arenas, buffers } = stats.memory;
  // 1.9 million parameters of the three models.
  expect(weights).toBeGreaterThan(4e6);
  for (const bytes of [arenas, buffers]) expect(bytes).toBeGreaterThan(0);
});

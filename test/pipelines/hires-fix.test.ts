import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { interpolate } from '../../lib/images/interpolate.js';
import {
  type GenerateOptions,
  readSettings,
  StableDiffusionImg2ImgPipeline,
  type StableDiffusionPipeline,
  type Tensor,
  Upscaler,
} from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { inSlices } from '../../lib/slices.js';
import { latentsOf, loadTiny, numbersOf, rejection, sameBits, untyped } from './tiny.js';

let pipe: StableDiffusionPipeline;
let folder: string;
let network: string;
beforeAll(async () => {
  pipe = await loadTiny();
  folder = mkdtempSync(join(tmpdir(), 'deepcache-hires-'));
  network = join(folder, 'x2.safetensors');
  const tensors = [
    { name: 'body.0.weight', shape: [4, 3, 3, 3] },
    { name: 'body.0.bias', shape: [4] },
    { name: 'body.1.weight', shape: [4] },
    { name: 'body.2.weight', shape: [12, 4, 3, 3] },
    { name: 'body.2.bias', shape: [12] },
  ];
  await native().writeSynthetic({ path: network, tensors, dtype: 'float32' }).promise;
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

const BASE = { prompt: 'a lighthouse', steps: 4, seed: 7 } as const;

describe('a second pass', () => {
  test('is image to image over the enlarged latents', async () => {
    const whole = await pipe.generate({
      ...BASE,
      output: 'latent',
      hiresFix: { scale: 1.5, strength: 0.5, upscaler: 'bicubic' },
    });
    expect(whole.tensor.shape).toEqual([1, 4, 12, 12]);
    const { tensor } = await pipe.generate({ ...BASE, output: 'latent' });
    const image = await inSlices(interpolate(tensor, { width: 12, height: 12 }, 'bicubic'));
    await using other = StableDiffusionImg2ImgPipeline.from(pipe);
    const second = await other.generate({ ...BASE, output: 'latent', image, strength: 0.5, seed: 8 });
    expect(sameBits(whole.tensor.data, second.tensor.data)).toBe(true);
    expect(whole.seeds).toEqual([7]);
    expect(whole.stats.calls).toBe(5 + second.stats.calls);
  });

  test('has a seed, steps and a size of its own, for every picture of a batch', async () => {
    const { seed: _, ...unseeded } = BASE;
    const run = { ...unseeded, prompt: ['a', 'b'], seeds: [3, 4], width: 72, height: 64 };
    const calls: number[] = [];
    const onStep = ({ steps }: { steps: number }) => calls.push(steps);
    const hiresFix = { strength: 0.5, steps: 6, seed: 11 };
    const { tensor, settings } = await pipe.generate({ ...run, output: 'latent', onStep, hiresFix });
    expect(tensor.shape).toEqual([2, 4, 16, 18]);
    expect(new Set(calls)).toEqual(new Set([4, 3]));
    expect(settings[1]).toMatch(
      /Seed: 4,.*Hires upscale: 2, Hires upscaler: Latent, Hires steps: 6, Hires seed: 11$/,
    );
    const next = { ...run, output: 'latent', hiresFix: { strength: 0.5 } } as const;
    expect((await pipe.generate(next)).settings[1]).toMatch(/Hires seed: 5$/);
  });

  test('by a network takes its pixels, and is as large as it is asked to be', async () => {
    const hiresFix = { scale: 1.5, strength: 0.5, upscaler: network };
    const { images } = await pipe.generate({ ...BASE, hiresFix });
    expect(images[0]).toMatchObject({ width: 96, height: 96 });
    const path = join(folder, 'picture.png');
    await images[0].save(path);
    expect((await readSettings(path)).fields).toMatchObject({
      Size: '64x64',
      'Denoising strength': '0.5',
      'Hires upscale': '1.5',
      'Hires upscaler': network,
    });
    using upscaler = await Upscaler.fromPretrained(network);
    const again = await pipe.generate({ ...BASE, hiresFix: { ...hiresFix, upscaler } });
    expect(Buffer.compare(again.images[0].data, images[0].data)).toBe(0);
    // It belongs to who loaded it.
    expect(upscaler.scale).toBe(2);
  });

  test('runs with the cache, whose calls count anew', async () => {
    const kinds: string[] = [];
    await pipe.generate({
      ...BASE,
      scheduler: 'DDIM',
      cache: { interval: 2, branch: 0 },
      hiresFix: { strength: 0.75 },
      onStep: ({ kind }) => kinds.push(kind),
    });
    expect(kinds).toEqual(['full', 'retrieve', 'full', 'retrieve', 'full', 'retrieve', 'full']);
  });

  test('that cannot be is refused before the first', async () => {
    const before = await latentsOf(pipe);
    let steps = 0;
    const refused = async (options: object, code: string, ...pieces: string[]) => {
      const run = { ...BASE, onStep: () => steps++, ...options };
      const error = await rejection(pipe.generate(untyped(run) as GenerateOptions));
      expect(error.code).toBe(code);
      for (const piece of pieces) expect(error.message).toContain(piece);
    };
    const invalid = 'ERR_DEEPCACHE_INVALID_ARGUMENT';
    await refused({ hiresFix: { strength: 0.1 } }, invalid, 'hiresFix', 'second pass', 'strength');
    await refused({ hiresFix: { scale: 8 }, width: 4096 }, invalid, 'hiresFix.scale', '16384');
    await refused(
      { hiresFix: { upscaler: join(folder, 'none.pth') } },
      'ERR_DEEPCACHE_INVALID_WEIGHTS',
      'none.pth',
    );
    await refused({ hiresFix: { scales: 2 } }, invalid, 'hiresFix.scales', 'scale');
    expect(steps).toBe(0);
    await using other = StableDiffusionImg2ImgPipeline.from(pipe);
    const error = await rejection(other.generate(untyped({ ...BASE, image: 'x', hiresFix: {} }) as never));
    expect(error.message).toContain('hiresFix is not an option of image to image');
    expect(sameBits(await latentsOf(pipe), before)).toBe(true);
  });

  test('gives floats, and stops with the signal', async () => {
    const result = await pipe.generate({ ...BASE, output: 'float32', hiresFix: {} });
    expect((result.tensor as Tensor).shape).toEqual([1, 3, 128, 128]);
    expect(numbersOf(result).every((value) => value >= 0 && value <= 1)).toBe(true);
    const stop = new AbortController();
    let passes = 0;
    const run = pipe.generate({
      ...BASE,
      hiresFix: {},
      signal: stop.signal,
      onStep: ({ call }) => {
        if (call === 1 && ++passes === 2) stop.abort(new Error('enough'));
      },
    });
    await expect(run).rejects.toThrow('enough');
  });
});

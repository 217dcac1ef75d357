import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { resizeLanczos } from '../../lib/images/resize.js';
import {
  type GenerateOptions,
  Image,
  StableDiffusionImg2ImgPipeline,
  type StableDiffusionPipeline,
  TextToVideoZeroPipeline,
  Upscaler,
} from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { runCli } from '../cli-run.js';
import { FOLDER, loadTiny, numbersOf, rejection, untyped } from './tiny.js';

let pipe: StableDiffusionPipeline;
let folder: string;
let network: string;
beforeAll(async () => {
  pipe = await loadTiny();
  folder = mkdtempSync(join(tmpdir(), 'deepcache-upscale-'));
  network = join(folder, 'x2.safetensors');
  const config = { _class_name: 'SRVGGNetCompact', num_feat: 8, num_conv: 1, upscale: 2 };
  const tensors = native().weightShapes('upscaler', JSON.stringify(config));
  await native().writeSynthetic({ path: network, tensors, dtype: 'float32' }).promise;
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

const BASE = { prompt: 'a lighthouse', steps: 3, seed: 7 } as const;

describe('upscale', () => {
  test('is what the network makes of the picture without it', async () => {
    const plain = await pipe.generate(BASE);
    using upscaler = await Upscaler.fromPretrained(network);
    const whole = await upscaler.upscale(plain.images[0]);
    const { images, settings, stats } = await pipe.generate({ ...BASE, upscale: network });
    expect(images[0]).toMatchObject({ width: 128, height: 128 });
    expect(Buffer.compare(images[0].data, whole.data)).toBe(0);
    expect(settings[0]).toBe(
      `${plain.settings[0]}, Postprocess upscaler: ${network}, Postprocess upscale by: 2`,
    );
    expect(images[0].metadata.parameters).toBe(settings[0]);
    expect(stats.times.total).toBeGreaterThan(0);

    const sized = await pipe.generate({ ...BASE, upscale: { upscaler, width: 96, height: 80 } });
    const expected = await resizeLanczos(whole, 96, 80);
    expect(Buffer.compare(sized.images[0].data, expected.data)).toBe(0);
    expect(sized.settings[0]).toContain('Postprocess upscale to: 96x80');
    // It belongs to who loaded it.
    expect(upscaler.scale).toBe(2);
  });

  test('of a batch, as floats, and by a factor of its own', async () => {
    const run = { ...BASE, numImages: 2, upscale: { upscaler: network, scale: 1.5, tile: 32, tilePad: 8 } };
    const { images, settings } = await pipe.generate(run);
    expect(images.map(({ width, height }) => [width, height])).toEqual([
      [96, 96],
      [96, 96],
    ]);
    expect(settings[1]).toMatch(/upscale by: 1.5, Postprocess tiles: 32 pad 8$/);
    const floats = await pipe.generate({ ...run, output: 'float32' });
    expect(floats.tensor.shape).toEqual([2, 3, 96, 96]);
    const second = await Image.fromFloat(numbersOf(floats).subarray(3 * 96 * 96), 96, 96);
    expect(Buffer.compare(second.data, images[1]?.data as Uint8Array)).toBe(0);
  });

  test('with other pipelines, and after a second pass', async () => {
    const image = new Image({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3).fill(90) });
    await using img2img = StableDiffusionImg2ImgPipeline.from(pipe);
    const changed = await img2img.generate({ ...BASE, image, strength: 0.7, upscale: network });
    expect(changed.images[0].width).toBe(128);
    const twice = await pipe.generate({ ...BASE, hiresFix: { scale: 1.5, strength: 0.7 }, upscale: network });
    expect(twice.images[0].width).toBe(192);
    expect(twice.settings[0]).toMatch(/Hires upscale: 1.5,.*Postprocess upscale by: 2$/);
    await using video = TextToVideoZeroPipeline.from(pipe);
    const frames = await video.generate({ ...BASE, steps: 4, videoLength: 2, upscale: network });
    expect(frames.images.map(({ width }) => width)).toEqual([128, 128]);
    expect(frames.images[1]?.metadata.parameters).toBe(frames.settings[0]);
  });

  test('of a file that is none is refused before the run', async () => {
    let steps = 0;
    const run = { ...BASE, onStep: () => steps++, upscale: join(folder, 'none.pth') };
    const error = await rejection(pipe.generate(untyped(run) as GenerateOptions));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(error.message).toContain('none.pth');
    expect(steps).toBe(0);
    const far = await rejection(
      pipe.generate({ ...BASE, width: 2048, height: 64, upscale: { upscaler: network, scale: 16 } }),
    );
    expect(far.message).toContain('upscale.scale');
  });
});

test('generate --upscale, and --from', async () => {
  const first = join(folder, 'first.png');
  const again = join(folder, 'again.png');
  const base = ['generate', '-m', FOLDER, '--device', 'cpu'];
  const prompt = ['-p', 'a lighthouse', '--steps', '3', '--seed', '7'];
  const made = await runCli([
    ...base,
    ...prompt,
    '-o',
    first,
    '--upscale',
    `upscaler=${network},scale=1.5,tile_pad=4`,
  ]);
  expect(made).toMatchObject({ code: 0 });
  expect(made.out).toContain('96x96');
  expect(await runCli([...base, '-o', again, '--from', first])).toMatchObject({ code: 0 });
  const [a, b] = [await Image.open(first), await Image.open(again)];
  expect(b.metadata).toEqual(a.metadata);
  expect(Buffer.compare(a.data, b.data)).toBe(0);
  const simple = await runCli([...base, ...prompt, '-o', again, '--force', '--upscale', network]);
  expect(simple.out).toContain('128x128');
  const wrong = await runCli([...base, ...prompt, '-o', again, '--upscale', `upscaler=${network},scale=40`]);
  expect(wrong).toMatchObject({ code: 2 });
  expect(wrong.err).toContain('--upscale: scale must be a number from 1 to 16');
});

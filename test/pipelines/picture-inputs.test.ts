import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { resizeLanczos } from '../../lib/images/resize.js';
import {
  Image,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
} from '../../lib/index.js';
import { blackPng } from '../images/png-file.js';
import { loadTiny, numbersOf, rejection, SIZE } from './tiny.js';

// What users should know about their pictures, and what pictures must not do to a pipeline.

let pipe: StableDiffusionPipeline;
let img2img: StableDiffusionImg2ImgPipeline;
let inpaint: StableDiffusionInpaintPipeline;
let folder: string;
beforeAll(async () => {
  pipe = await loadTiny();
  img2img = StableDiffusionImg2ImgPipeline.from(pipe);
  inpaint = StableDiffusionInpaintPipeline.from(pipe);
  folder = mkdtempSync(join(tmpdir(), 'deepcache-inputs-'));
});
afterAll(async () => {
  await Promise.all([pipe.dispose(), img2img.dispose(), inpaint.dispose()]);
  rmSync(folder, { recursive: true });
});

const run = { prompt: 'a lighthouse', steps: 2, seed: 7 } as const;
const soft = (width: number, height: number) =>
  new Image({
    width,
    height,
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => 127 + Math.round(100 * Math.sin(i / 50))),
  });
/** White, to be repainted, on the left. */
const mask = (width: number, height: number) =>
  new Image({
    width,
    height,
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) =>
      (Math.floor(i / 3) % width) * 2 < width ? 255 : 0,
    ),
  });

describe('notes', () => {
  test('on a picture whose size is no multiple of 8', async () => {
    const { notes, images } = await img2img.generate({ ...run, image: soft(70, 65) });
    expect(images[0]).toMatchObject({ width: 64, height: 64 });
    expect(notes).toEqual(['image is 70x65 pixels, not multiples of 8: it was resized to 64x64']);
    expect((await img2img.generate({ ...run, image: soft(64, 72) })).notes).toEqual([]);
    const asked = await img2img.generate({ ...run, image: soft(70, 65), width: 64, height: 64 });
    expect(asked.notes).toEqual([]);
  });

  test('on a mask of another size than its picture', async () => {
    const { notes } = await inpaint.generate({ ...run, image: soft(65, 64), maskImage: mask(32, 32) });
    expect(notes).toEqual([
      'image is 65x64 pixels, not multiples of 8: it was resized to 64x64',
      'the mask is 32x32 pixels, the image 65x64: it was resized',
    ]);
  });
});

describe('keepOriginal', () => {
  const isOutside = (i: number) => (Math.floor(i / 3) % SIZE) * 2 >= SIZE;
  const count = (a: Uint8Array, b: Uint8Array, place: (i: number) => boolean) =>
    a.reduce((sum, value, i) => sum + Number(place(i) && value !== b[i]), 0);

  test('keeps every pixel outside the mask, and changes those inside', async () => {
    const image = soft(SIZE, SIZE);
    const inputs = { ...run, image, maskImage: mask(SIZE, SIZE) };
    const plain = (await inpaint.generate(inputs)).images[0] as Image;
    const kept = (await inpaint.generate({ ...inputs, keepOriginal: true })).images[0] as Image;
    expect(count(plain.data, image.data, isOutside)).toBeGreaterThan(0);
    expect(count(kept.data, image.data, isOutside)).toBe(0);
    expect(count(kept.data, plain.data, (i) => !isOutside(i))).toBe(0);
  });

  test('in batches, as floats, with pictures of other sizes', async () => {
    const pictures = [soft(100, 60), mask(100, 60)];
    const result = await inpaint.generate({
      ...run,
      image: pictures,
      maskImage: mask(30, 30),
      width: SIZE,
      height: SIZE,
      numImages: 2,
      output: 'float32',
      keepOriginal: true,
    });
    const floats = numbersOf(result);
    for (const [i, picture] of pictures.entries()) {
      const size = 3 * SIZE * SIZE;
      const made = await Image.fromFloat(floats.subarray(i * size, (i + 1) * size), SIZE, SIZE);
      expect(count(made.data, (await resizeLanczos(picture, SIZE, SIZE)).data, isOutside)).toBe(0);
    }
  });
});

test('a pipe as a picture is refused, and holds nothing up', async () => {
  const path = join(folder, 'pipe.png');
  execFileSync('mkfifo', [path]);
  const other = StableDiffusionImg2ImgPipeline.from(pipe);
  const error = await rejection(other.generate({ ...run, image: path }));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_IMAGE' });
  expect(error.message).toMatch(/pipe\.png is a pipe, not a file/);
  await other.dispose();
});

test('a size that does not fit is told before anything is unpacked', async () => {
  // Nothing behind its header is right.
  const png = blackPng(8192, 8192).fill(0xff, 100);
  const error = await rejection(img2img.generate({ ...run, image: png, numImages: 500 }));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_OUT_OF_MEMORY' });
  expect(error.message).toMatch(/GiB for pictures/);
});

test('a damaged picture is told, and the pipeline lives on', async () => {
  const png = blackPng(SIZE, SIZE);
  const error = await rejection(img2img.generate({ ...run, image: png.subarray(0, png.length - 30) }));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_IMAGE' });
  expect((await img2img.generate({ ...run, image: png })).images).toHaveLength(1);
});

test('a wide picture is resized in parts, between which a signal is heard', async () => {
  const wide = { data: new Uint8Array(65_535 * 64), width: 65_535, height: 64, channels: 1 } as const;
  const stop = new AbortController();
  const running = img2img.generate({ ...run, image: wide, width: 64, height: 64, signal: stop.signal });
  setImmediate(() => setImmediate(() => stop.abort(new Error('enough'))));
  await expect(running).rejects.toThrow('enough');
  const error = await rejection(img2img.generate({ ...run, image: { ...wide, width: 65_536 } }));
  expect(error.message).toBe('image has 65536x64 pixels; at most 65535 a side');
});

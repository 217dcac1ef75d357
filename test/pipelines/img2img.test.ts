import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { resizeLanczos } from '../../lib/images/resize.js';
import {
  Image,
  type ImageInput,
  type Img2ImgOptions,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
} from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { spanOf } from '../../lib/pipelines/families/latent.js';
import { imageToImage } from '../../lib/pipelines/inputs/image-to-image.js';
import { distance, imageOf, latentsOf, loadTiny, rejection, SIZE, sameBits } from './tiny.js';

// Pictures as an input: every form of them, one run after the other, and pipelines that share their models.

let pipe: StableDiffusionPipeline;
let img2img: StableDiffusionImg2ImgPipeline;
let folder: string;
beforeAll(async () => {
  pipe = await loadTiny();
  img2img = StableDiffusionImg2ImgPipeline.from(pipe);
  folder = mkdtempSync(join(tmpdir(), 'deepcache-img2img-'));
});
afterAll(async () => {
  await pipe.dispose();
  await img2img.dispose();
  rmSync(folder, { recursive: true });
});

/** Soft colours; `channels` of them, the fourth of which is transparency. */
function pixels(channels: number, phase = 0): Uint8Array {
  return Uint8Array.from({ length: SIZE * SIZE * channels }, (_, i) => {
    const [pixel, c] = [Math.floor(i / channels), i % channels];
    const wave = Math.sin((pixel % SIZE) / 9 + c + phase) + Math.cos(pixel / SIZE / 7 - c);
    return Math.round(127 + 60 * wave);
  });
}
const picture = (phase = 0) => new Image({ width: SIZE, height: SIZE, data: pixels(3, phase) });

const run = { prompt: 'a lighthouse', steps: 5, seed: 7, output: 'latent', scheduler: 'DDIM' } as const;
async function variation(image: ImageInput, options: Partial<Img2ImgOptions> = {}): Promise<Float32Array> {
  const { tensor } = await img2img.generate({ ...run, image, ...(options as object) });
  return tensor.data;
}

test('runs with different strengths give in a row what each gives alone', async () => {
  const strengths = [1, 0.3, 0.8, 0.2, 0.6];
  const settings = [{}, { cache: { interval: 2 } }, { scheduler: 'PNDM', cache: { interval: 3 } }] as const;
  for (const options of settings) {
    const alone: Float32Array[] = [];
    for (const strength of strengths) {
      const fresh = await loadTiny();
      const one = StableDiffusionImg2ImgPipeline.from(fresh);
      const { tensor } = await one.generate({ ...run, ...options, image: picture(), strength });
      alone.push(tensor.data);
      await fresh.dispose();
      await one.dispose();
    }
    for (const order of [
      [0, 1, 2, 3, 4],
      [4, 2, 0, 3, 1],
    ]) {
      for (const i of order) {
        const latents = await variation(picture(), { ...options, strength: strengths[i] as number });
        expect(sameBits(latents, alone[i] as Float32Array)).toBe(true);
      }
    }
    // They are not all the same, or the rest would prove nothing.
    expect(distance(alone[0] as Float32Array, alone[1] as Float32Array)).toBeGreaterThan(0.01);
  }
});

describe('a picture may be', () => {
  let expected: Float32Array;
  beforeAll(async () => {
    expected = await variation(picture());
  });
  const same = async (image: ImageInput) => expect(sameBits(await variation(image), expected)).toBe(true);

  test('a path or the bytes of a file', async () => {
    const path = join(folder, 'picture.png');
    await picture().save(path);
    await same(path);
    await same(readFileSync(path));
    await same(new Uint8Array(readFileSync(path)));
  });

  test('an Image, raw pixels, or a list of one', async () => {
    await same(picture());
    await same({ data: pixels(3), width: SIZE, height: SIZE, channels: 3 });
    await same([picture()]);
  });

  test('a tensor', async () => {
    await same({ data: await picture().toFloat(), shape: [1, 3, SIZE, SIZE] });
  });

  test('transparent: its alpha is dropped', async () => {
    const rgba = new Uint8Array(SIZE * SIZE * 4);
    const [rgb, alpha] = [pixels(3), pixels(1)];
    for (let i = 0; i < SIZE * SIZE; i++) {
      rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
      rgba[4 * i + 3] = alpha[i] as number;
    }
    await same({ data: rgba, width: SIZE, height: SIZE, channels: 4 });
    await same(
      await sharp(rgba, { raw: { width: SIZE, height: SIZE, channels: 4 } })
        .png()
        .toBuffer(),
    );
  });

  test('gray, as pixels or in a file', async () => {
    const gray = pixels(1);
    const rgb = new Image({
      width: SIZE,
      height: SIZE,
      data: Uint8Array.from({ length: 3 * gray.length }, (_, i) => gray[Math.floor(i / 3)] as number),
    });
    const latents = await variation(rgb);
    const raw = { data: gray, width: SIZE, height: SIZE, channels: 1 } as const;
    expect(sameBits(await variation(raw), latents)).toBe(true);
    const file = await sharp(gray, { raw: { width: SIZE, height: SIZE, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect(sameBits(await variation(file), latents)).toBe(true);
  });

  test('of another size: resized by Lanczos', async () => {
    const large = await resizeLanczos(picture(), 150, 90);
    const size = { width: SIZE, height: SIZE };
    const resized = await variation(await resizeLanczos(large, SIZE, SIZE));
    expect(sameBits(await variation(large, size), resized)).toBe(true);
  });

  test('but not a tensor of another size', async () => {
    const image = { data: new Float32Array(3 * 64 * 72), shape: [1, 3, 64, 72] };
    const error = await rejection(variation(image, { width: 64, height: 64 }));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(error.message).toBe('image is a tensor of 72x64, the run needs 64x64');
  });
});

test('two prompts with a picture each, of one generator each', async () => {
  const { seed: _, ...rest } = run;
  const { tensor } = await img2img.generate({
    ...rest,
    prompt: ['a cat', 'a dog'],
    image: [picture(), picture(2)],
    seeds: [1, 2],
  });
  const single = await variation(picture(2), { prompt: 'a dog', seed: 2 });
  expect(distance(imageOf(tensor?.data as Float32Array, 1, 2), single)).toBeLessThan(1e-5);
});

test('a strength that runs no step is told with one that does', async () => {
  const error = await rejection(variation(picture(), { strength: 0.001, steps: 50 }));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
  expect(error.message).toBe('strength 0.001 of 50 steps runs none; use at least 0.02');
  expect(await variation(picture(), { strength: 0.02, steps: 50 })).toHaveLength(256);
});

describe('masks', () => {
  const half = (width: number, height: number) =>
    new Image({
      width,
      height,
      data: Uint8Array.from({ length: width * height * 3 }, (_, i) =>
        (Math.floor(i / 3) % width) * 2 < width ? 255 : 0,
      ),
    });

  test('of another size are resized, gray, colour and tensor are one', async () => {
    const inpaint = StableDiffusionInpaintPipeline.from(pipe);
    const latents = async (maskImage: ImageInput) =>
      (await inpaint.generate({ ...run, image: picture(), maskImage })).tensor?.data as Float32Array;
    const expected = await latents(half(SIZE, SIZE));
    expect(sameBits(await latents(half(2 * SIZE, SIZE / 2)), expected)).toBe(true);
    const mask = Float32Array.from({ length: SIZE * SIZE }, (_, i) => ((i % SIZE) * 2 < SIZE ? 0.7 : 0.3));
    expect(sameBits(await latents({ data: mask, shape: [1, 1, SIZE, SIZE] }), expected)).toBe(true);
    const gray = Uint8Array.from(mask, (value) => Math.round(value * 255));
    const raw = { data: gray, width: SIZE, height: SIZE, channels: 1 } as const;
    expect(sameBits(await latents(raw), expected)).toBe(true);
    await inpaint.dispose();
  });
});

test('pipelines made from one share its models, and live on without it', async () => {
  const first = await loadTiny();
  const expected = await variation(picture());
  const text = await latentsOf(first);
  const { weights } = first.unet.memory();
  const before = native().residentMemory();
  const others = Array.from({ length: 50 }, () => [
    StableDiffusionImg2ImgPipeline.from(first),
    StableDiffusionInpaintPipeline.from(first),
  ]).flat();
  const one = others[0] as StableDiffusionImg2ImgPipeline;
  expect(one.unet).toBe(first.unet);
  expect(one.vae).toBe(first.vae);
  expect(one.textEncoder).toBe(first.textEncoder);
  // A hundred copies of the weights would be hundreds of megabytes.
  expect(100 * weights).toBeGreaterThan(100e6);
  expect(native().residentMemory() - before).toBeLessThan(20e6);
  for (const other of others.slice(1)) await other.dispose();
  expect(sameBits(await latentsOf(first), text)).toBe(true);
  await first.dispose();
  const { tensor } = await one.generate({ ...run, image: picture() });
  expect(sameBits(tensor?.data as Float32Array, expected)).toBe(true);
  await one.dispose();
  expect(() => first.unet.memory()).toThrow(expect.objectContaining({ code: 'ERR_DEEPCACHE_DISPOSED' }));
});

test('a strength counts for nothing where an earlier run goes on', () => {
  const span = (options: object) => spanOf(imageToImage(0.3), { steps: 2, ...options });
  expect(() => span({})).toThrow('strength 0.3 of 2 steps runs none');
  expect(span({ denoisingStart: 0.8 })).toMatchObject({ denoisingStart: 0.8 });
  expect(() => span({ denoisingStart: 0.8, denoisingEnd: 0.5 })).toThrow('must be below denoisingEnd (0.5)');
});

test('prompts are encoded without the pictures of a run, and options are checked all the same', async () => {
  const [alone, whole] = [
    { prompt: 'a barn' },
    { prompt: 'a barn', image: new Image({ width: 8, height: 8, data: new Uint8Array(192) }) },
  ];
  const inpaint = StableDiffusionInpaintPipeline.from(pipe);
  const expected = await pipe.encodePrompt(alone);
  for (const encoded of [
    await img2img.encodePrompt(alone),
    await img2img.encodePrompt(whole),
    await inpaint.encodePrompt(alone),
  ]) {
    expect(encoded.promptEmbeds.data).toEqual(expected.promptEmbeds.data);
  }
  const error = await rejection(img2img.encodePrompt({ prompt: 'a barn', strength: 2 } as never));
  expect(error.message).toContain('strength');
  expect((await rejection(img2img.encodePrompt({} as never))).message).toContain('prompt is missing');
});

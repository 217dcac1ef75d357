import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type GenerateOptions,
  Image,
  type Img2ImgOptions,
  type InpaintOptions,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
} from '../../lib/index.js';
import { distance, latentsOf, loadTiny, numbersOf, rejection, SIZE, sameBits } from './tiny.js';

// Image to image and inpainting over the models of a loaded pipeline. Their numbers are the conformance goldens'.

let pipe: StableDiffusionPipeline;
let img2img: StableDiffusionImg2ImgPipeline;
let inpaint: StableDiffusionInpaintPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
  img2img = StableDiffusionImg2ImgPipeline.from(pipe);
  inpaint = StableDiffusionInpaintPipeline.from(pipe);
});
afterAll(async () => {
  for (const one of [pipe, img2img, inpaint]) await one.dispose();
});

/** A picture with a bright left half. */
function picture(width = SIZE, height = SIZE, bright = 220, dark = 30): Image {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) =>
    (Math.floor(i / 3) % width) * 2 < width ? bright : dark,
  );
  return new Image({ width, height, data });
}
const tensor = (shape: number[], value = 0.5) => ({
  data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value),
  shape,
});

const run = { prompt: 'a lighthouse', steps: 5, seed: 7, output: 'latent', scheduler: 'DDIM' } as const;

type Own<T> = Exclude<keyof T, keyof GenerateOptions>;
/** As in options.test.ts: an option without a case does not compile. */
const WRONG_IMG2IMG: { [Name in Own<Img2ImgOptions>]: readonly unknown[] } = {
  image: [
    undefined,
    null,
    5,
    {},
    [],
    [picture(), picture(32, 32)],
    { data: new Uint8Array(5), width: 8, height: 8, channels: 3 },
    { data: new Uint8Array(128), width: 8, height: 8, channels: 2 },
    tensor([1, 5, 64, 64]),
    tensor([3, 64, 64]),
    tensor([1, 3, 64, 60]),
    tensor([1, 3, 64, 64], 1.5),
    tensor([1, 3, 64, 64], Number.NaN),
    tensor([2, 3, 64, 64]),
    { data: new Float32Array(5), shape: [1, 3, 64, 64] },
  ],
  strength: [0, 0.1, -1, 1.5, Number.NaN, '0.5'],
};
const WRONG_INPAINT: { [Name in Own<InpaintOptions>]: readonly unknown[] } = {
  image: WRONG_IMG2IMG.image,
  keepOriginal: [1, 'true', null],
  maskBlur: [-1, 300, Number.NaN, '4'],
  paddingMaskCrop: [-1, 1.5, Number.NaN, '32'],
  maskImage: [
    undefined,
    null,
    5,
    {},
    [],
    tensor([1, 1, 32, 32]),
    tensor([1, 1, 64, 64], 2),
    tensor([2, 1, 64, 64]),
  ],
  strength: WRONG_IMG2IMG.strength,
};

const cases = (table: Record<string, readonly unknown[]>) =>
  Object.entries(table).flatMap(([name, values]) => values.map((value, i) => ({ name, i, value })));

describe('wrong values', () => {
  const refused = async (work: Promise<unknown>, name: string) => {
    const error = await rejection(work);
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(error.message).toMatch(name === 'image' ? /image|width|height/ : name);
  };

  test.each(cases(WRONG_IMG2IMG))('image to image: $name, case $i', async ({ name, value }) => {
    const options = { ...run, image: picture(), [name]: value } as Img2ImgOptions;
    await refused(img2img.generate(options), name);
  });

  test.each(cases(WRONG_INPAINT))('inpainting: $name, case $i', async ({ name, value }) => {
    const options = { ...run, image: picture(), maskImage: picture(), [name]: value } as InpaintOptions;
    await refused(inpaint.generate(options), name);
  });

  test('a file that is not there is named', async () => {
    const error = await rejection(img2img.generate({ ...run, image: 'no/such/picture.png' }));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_IMAGE' });
    expect(error.message).toContain('no/such/picture.png');
  });

  test('text to image takes no pictures', async () => {
    const error = await rejection(pipe.generate({ ...run, image: picture() } as GenerateOptions));
    expect(error.message).toMatch(/^image is not an option/);
  });

  test('both work on', async () => {
    const first = await img2img.generate({ ...run, image: picture() });
    expect(numbersOf(first).every(Number.isFinite)).toBe(true);
    const second = await inpaint.generate({ ...run, image: picture(), maskImage: picture() });
    expect(numbersOf(second).every(Number.isFinite)).toBe(true);
  });
});

describe('image to image', () => {
  test.each([
    [1, 5],
    [0.8, 4],
    [0.5, 2],
    [0.2, 1],
  ])('strength %d runs %i of 5 steps', async (strength, calls) => {
    const { stats } = await img2img.generate({ ...run, image: picture(), strength });
    expect(stats.calls).toBe(calls);
  });

  test('the cache counts the calls that are run', async () => {
    const full: boolean[] = [];
    const onStep = (step: { full: boolean }) => full.push(step.full);
    await img2img.generate({ ...run, image: picture(), strength: 0.8, cache: { interval: 2 }, onStep });
    expect(full).toEqual([true, false, true, false]);
  });

  test('a weaker run stays closer to the picture', async () => {
    const near = numbersOf(await img2img.generate({ ...run, steps: 20, image: picture(), strength: 0.05 }));
    const far = numbersOf(await img2img.generate({ ...run, steps: 20, image: picture(), strength: 0.9 }));
    const moments = await pipe.vae.encode({
      data: await picture().toFloat('signed'),
      shape: [1, 3, SIZE, SIZE],
    });
    const mean = moments.data.subarray(0, 256).map((value) => value * pipe.vae.scalingFactor);
    expect(distance(near, mean)).toBeLessThan(distance(far, mean));
  });

  test('a tensor is the picture without the rounding', async () => {
    const image = picture();
    const given = await img2img.generate({
      ...run,
      image: { data: await image.toFloat(), shape: [1, 3, SIZE, SIZE] },
    });
    expect(sameBits(numbersOf(given), numbersOf(await img2img.generate({ ...run, image })))).toBe(true);
  });

  test("the size is the picture's, in whole latent pixels, or the one asked for", async () => {
    const own = await img2img.generate({ ...run, output: 'image', image: picture(77, 90) });
    expect(own.images[0]).toMatchObject({ width: 72, height: 88 });
    const other = await img2img.generate({
      ...run,
      output: 'image',
      image: picture(77, 90),
      width: 64,
      height: 64,
    });
    expect(other.images[0]).toMatchObject({ width: 64, height: 64 });
  });

  test('one picture for all images, or one each', async () => {
    const [a, b] = [picture(), picture(SIZE, SIZE, 10, 250)];
    const seeds = [1, 2];
    const { seed: _, ...rest } = run;
    const each = await img2img.generate({
      ...rest,
      seeds,
      numImages: 2,
      image: [a, b],
    });
    for (const [i, image] of [a, b].entries()) {
      const single = numbersOf(await img2img.generate({ ...run, seed: seeds[i] as number, image }));
      expect(distance(numbersOf(each).subarray(i * 256, (i + 1) * 256), single)).toBeLessThan(1e-5);
    }
  });
});

describe('inpainting', () => {
  test('a black mask keeps the picture, whatever the prompt', async () => {
    const black = picture(SIZE, SIZE, 0, 0);
    const a = numbersOf(await inpaint.generate({ ...run, image: picture(), maskImage: black }));
    const b = numbersOf(
      await inpaint.generate({ ...run, prompt: 'cats', image: picture(), maskImage: black }),
    );
    expect(sameBits(a, b)).toBe(true);
  });

  test('half a mask repaints that half only', async () => {
    const maskImage = picture(SIZE, SIZE, 255, 0);
    const a = numbersOf(await inpaint.generate({ ...run, image: picture(), maskImage }));
    const b = numbersOf(await inpaint.generate({ ...run, prompt: 'cats', image: picture(), maskImage }));
    const changed = [...a.keys()].filter((i) => a[i] !== b[i]);
    expect(changed.length).toBeGreaterThan(100);
    expect(changed.every((i) => i % 8 < 4)).toBe(true);
  });

  test('a mask of another size is resized', async () => {
    const maskImage = picture(2 * SIZE, SIZE, 255, 0);
    const resized = await inpaint.generate({ ...run, image: picture(), maskImage });
    const exact = await inpaint.generate({
      ...run,
      image: picture(),
      maskImage: picture(SIZE, SIZE, 255, 0),
    });
    expect(sameBits(numbersOf(resized), numbersOf(exact))).toBe(true);
  });
});

describe('pipelines over the same models', () => {
  test('run in turn, and give what they give alone', async () => {
    const text = await latentsOf(pipe);
    const pictures = numbersOf(await img2img.generate({ ...run, image: picture(), cache: { interval: 2 } }));
    const [a, b, c] = await Promise.all([
      latentsOf(pipe),
      img2img.generate({ ...run, image: picture(), cache: { interval: 2 } }),
      latentsOf(pipe),
    ]);
    expect(sameBits(a, text)).toBe(true);
    expect(sameBits(numbersOf(b), pictures)).toBe(true);
    expect(sameBits(c, text)).toBe(true);
  });

  test('the models live until the last of them is disposed', async () => {
    const first = await loadTiny();
    const second = StableDiffusionImg2ImgPipeline.from(first);
    await first.dispose();
    expect(await rejection(first.generate(run))).toMatchObject({ code: 'ERR_DEEPCACHE_DISPOSED' });
    const { stats } = await second.generate({ ...run, image: picture() });
    expect(stats.calls).toBe(4);
    await second.dispose();
    expect(() => first.unet.memory()).toThrow(expect.objectContaining({ code: 'ERR_DEEPCACHE_DISPOSED' }));
    expect(() => StableDiffusionImg2ImgPipeline.from(first)).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_DISPOSED' }),
    );
  });
});

test('a large photo does not hold up the event loop', async () => {
  const photo = picture(3000, 2000);
  const running = img2img.generate({ ...run, image: photo, width: SIZE, height: SIZE });
  let turns = 0;
  let done = false;
  const watch = (async () => {
    for (; !done; turns++) await yieldToLoop();
  })();
  await running;
  done = true;
  await watch;
  // Resizing takes a third of a second here, in slices of a few milliseconds.
  expect(turns).toBeGreaterThan(50);
});

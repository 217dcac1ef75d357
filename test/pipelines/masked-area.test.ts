import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gaussianBlur } from '../../lib/images/gaussian-blur.js';
import {
  DiffusionPipeline,
  Image,
  type InpaintOptions,
  StableDiffusionInpaintPipeline,
  StableDiffusionXLInpaintPipeline,
} from '../../lib/index.js';
import { MaskedArea } from '../../lib/inpaint/masked-area.js';
import { inOneGo } from '../../lib/slices.js';
import { runCli } from '../cli-run.js';
import { writeControlNet } from '../composition/made-systems.js';
import { writeSd, writeXl } from './made-models.js';
import { FOLDER, rejection, SIZE } from './tiny.js';

// Inpainting of the area around a mask: `paddingMaskCrop` and `maskBlur`. Their functions are compared with diffusers' in
// test/inpaint.

/** SDXL's takes the options of these tests, too. */
type Inpainting = StableDiffusionInpaintPipeline;
const LOAD = { device: 'cpu', log: () => {} } as const;

let root: string;
const pipes: Record<string, Inpainting> = {};
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'deepcache-area-'));
  const sd = await writeSd(join(root, 'sd'), {});
  const nine = await writeSd(join(root, 'nine'), {
    index: { _class_name: 'StableDiffusionInpaintPipeline' },
    unet: { in_channels: 9 },
  });
  const xl = await writeXl(join(root, 'xl'));
  const control = await StableDiffusionInpaintPipeline.fromPretrained(sd, LOAD);
  await control.loadControlNet(await writeControlNet(sd, root, 'net'));
  pipes.SD = await StableDiffusionInpaintPipeline.fromPretrained(sd, LOAD);
  pipes['nine channels'] = (await DiffusionPipeline.fromPretrained(nine, LOAD)) as unknown as Inpainting;
  pipes.SDXL = (await StableDiffusionXLInpaintPipeline.fromPretrained(xl, LOAD)) as unknown as Inpainting;
  pipes.ControlNet = control;
});
afterAll(async () => {
  for (const pipe of Object.values(pipes)) await pipe.dispose();
  rmSync(root, { recursive: true });
});

function photo(width = 150, height = 110): Image {
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * i * 7 + 5 * i) % 256);
  return new Image({ width, height, data });
}
/** White from (60, 40) to (90, 60). */
function spot(width = 150, height = 110): Image {
  const data = new Uint8Array(3 * width * height);
  for (let y = 40; y < 60; y++) data.fill(255, 3 * (y * width + 60), 3 * (y * width + 90));
  return new Image({ width, height, data });
}
const RUN = { prompt: 'a lighthouse', steps: 3, seed: 7 } as const;

describe('paddingMaskCrop', () => {
  test.each(['SD', 'nine channels', 'SDXL', 'ControlNet'])(
    '%s: is inpainting of the area, laid into the picture',
    async (name) => {
      const pipe = pipes[name] as Inpainting;
      const control = name === 'ControlNet' ? { controlImage: spot(75, 55) } : {};
      const [image, maskImage] = [photo(), spot()];
      const whole = await pipe.generate({
        ...{ ...RUN, ...control, image, maskImage, maskBlur: 3, paddingMaskCrop: 8 },
        numImages: 2,
      });
      expect(whole.images[1]).toMatchObject({ width: 150, height: 110 });
      expect(whole.settings[0]).toContain(
        `Size: ${SIZE}x${SIZE}, Denoising strength: ${name === 'SDXL' ? 0.9999 : 1}, ` +
          'Mask blur: 3, Inpaint area: Only masked, Masked area padding: 8',
      );

      const soft = inOneGo(gaussianBlur(maskImage, 3));
      const area = await MaskedArea.find(image, soft, { width: SIZE, height: SIZE, paddingMaskCrop: 8 });
      const part = await pipe.generate({
        ...RUN,
        ...(control.controlImage && { controlImage: await area.cut(control.controlImage) }),
        image: await area.cut(image),
        maskImage: await area.cut(soft),
        numImages: 2,
        output: 'float32',
      });
      const { data } = await area.lay(part.tensor);
      const second = await Image.fromFloat(data.subarray(data.length / 2), 150, 110);
      expect(Buffer.compare(whole.images[1]?.data as Uint8Array, second.data)).toBe(0);
      const at = (picture: Image, x: number, y: number) => [
        ...picture.data.slice(3 * (y * 150 + x), 3 * (y * 150 + x) + 3),
      ];
      expect(at(second, 5, 5)).toEqual(at(image, 5, 5));
      expect(at(second, 75, 50)).not.toEqual(at(image, 75, 50));
    },
  );

  test('has the size of the run where options name one, and goes on as floats and latents', async () => {
    const run = { ...RUN, image: photo(), maskImage: spot(75, 55), paddingMaskCrop: 0 };
    const { tensor, settings } = await (pipes.SD as Inpainting).generate({
      ...{ ...run, maskImage: spot() },
      ...{ width: 96, height: 64, output: 'float32' },
    });
    expect(tensor?.shape).toEqual([1, 3, 110, 150]);
    expect(settings[0]).toContain('Size: 96x64');
    const latents = await (pipes.SD as Inpainting).generate({ ...run, output: 'latent' });
    expect(latents.tensor?.shape).toEqual([1, 4, 8, 8]);
    expect(latents.notes.join()).toContain('the mask is 75x55 pixels');
  });

  test.each([
    [
      'an empty mask',
      { maskImage: new Image({ width: 8, height: 8, data: new Uint8Array(192) }) },
      /maskImage is black/,
    ],
    ['two pictures', { image: [photo(), photo()], numImages: 2 }, /paddingMaskCrop is for one picture/],
    [
      'a tensor',
      { image: { data: new Float32Array(3 * 64 * 64), shape: [1, 3, 64, 64] } },
      /image is a tensor/,
    ],
    [
      'a mask that is a tensor',
      { maskBlur: 2, maskImage: { data: new Float32Array(64 * 64), shape: [1, 1, 64, 64] } },
      /maskBlur is for pictures; maskImage is a tensor/,
    ],
  ])('%s is refused', async (_, options, message) => {
    let steps = 0;
    const run = { ...RUN, image: photo(), maskImage: spot(), paddingMaskCrop: 8, onStep: () => steps++ };
    const error = await rejection(
      (pipes.SD as Inpainting).generate({ ...run, ...options } as InpaintOptions),
    );
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
    expect(error.message).toMatch(message);
    expect(steps).toBe(0);
  });
});

test('maskBlur fades into what keepOriginal keeps', async () => {
  const [image, maskImage] = [photo(64, 64), spot(64, 64)];
  const run = { ...RUN, image, maskImage, output: 'float32' } as const;
  const pipe = pipes.SD as Inpainting;
  const plain = await pipe.generate({ ...run, maskBlur: 2 });
  const kept = await pipe.generate({ ...run, maskBlur: 2, keepOriginal: true });
  const soft = inOneGo(gaussianBlur(maskImage, 2));
  const own = await image.toFloat();
  let grays = 0;
  for (let i = 0; i < own.length; i++) {
    const share = (soft.data[3 * (i % 4096)] as number) / 255;
    const [a, b] = [own[i] as number, plain.tensor?.data[i] as number];
    const value = kept.tensor?.data[i] as number;
    if (share === 0) expect(value).toBe(a);
    else expect(value).toBeCloseTo(a + share * (b - a), 6);
    if (share > 0 && share < 1) grays++;
  }
  expect(grays).toBeGreaterThan(100);
});

test('generate --mask-blur --padding-mask-crop', async () => {
  const [image, mask, out] = ['photo.png', 'mask.png', 'out.png'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  await photo().save(image);
  await spot().save(mask);
  const flags = ['-m', FOLDER, '--device', 'cpu', '-p', 'a', '--steps', '3', '--seed', '1', '-o', out];
  const run = (...more: string[]) => runCli(['generate', ...flags, '--image', image, ...more]);
  const { code, out: text } = await run('--mask', mask, '--mask-blur', '4', '--padding-mask-crop', '12');
  expect(code).toBe(0);
  expect(text).toContain('150x110');
  const wrong = await run('--padding-mask-crop', '12');
  expect(wrong.code).toBe(2);
  expect(wrong.err).toContain('--padding-mask-crop does not apply to image to image; it is for inpainting');
});

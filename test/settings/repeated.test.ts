import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, Image, readSettings, StableDiffusionInpaintPipeline } from '../../lib/index.js';
import { runCli } from '../cli-run.js';
import { writeControlNet, writeDdpm, writeLdm, writeVideo } from '../composition/made-systems.js';
import { adapterFile } from '../models/tiny-motion.js';
import { writeSd, writeUpscaler, writeXl } from '../pipelines/made-models.js';
import { SIZE } from '../pipelines/tiny.js';
import { writeT2IAdapter } from '../t2i-adapter-file.js';

// `generate --from` makes a picture of every kind of pipeline again, bit for bit.

let root: string;
const file = (name: string) => join(root, name);
const models: Record<string, string> = {};
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'deepcache-repeated-'));
  const made = (name: string, className: string, channels: number) =>
    writeSd(file(name), { index: { _class_name: className }, unet: { in_channels: channels } });
  models.sd = await writeSd(file('sd'), {});
  models.nine = await made('nine', 'StableDiffusionInpaintPipeline', 9);
  models.pix2pix = await made('pix2pix', 'StableDiffusionInstructPix2PixPipeline', 8);
  models.depth = await made('depth', 'StableDiffusionDepth2ImgPipeline', 5);
  models.x4 = await writeUpscaler(file('x4'));
  models.xl = await writeXl(file('xl'));
  models.video = await writeVideo(file('video'));
  models.ldm = await writeLdm(file('ldm'));
  models.ddpm = await writeDdpm(file('ddpm'));
  await writeControlNet(models.sd, root, 'net');
  await writeT2IAdapter(file('t2i'));
  adapterFile(root, 'motion.safetensors');
  const data = Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => (i * 7) % 256);
  await new Image({ width: SIZE, height: SIZE, data }).save(file('photo.png'));
  const mask = new Uint8Array(3 * SIZE * SIZE).fill(255, 0, (3 * SIZE * SIZE) / 3);
  await new Image({ width: SIZE, height: SIZE, data: mask }).save(file('mask.png'));
});
afterAll(() => rmSync(root, { recursive: true }));

const generate = async (model: string, output: string, flags: readonly string[]) => {
  const argv = ['generate', '-m', models[model] as string, '--device', 'cpu', '-o', file(output), '--force'];
  const { code, err } = await runCli([...argv, ...flags]);
  return { code, err };
};
const PHOTO = 'PHOTO';
const TEXT = ['-p', 'a boat', '--steps', '3', '--seed', '5'];
/** Two of them, each with its own picture, scale, window and preprocessor. */
const NETS = [
  ...['--control-net', 'net', '--control-image', PHOTO, '--control-scale', '0.6', '--control-end', '0.5,0.9'],
  ...['--control-net', 'net', '--control-image', 'MASK', '--control-scale', '0.2'],
  ...['--control-preprocess', 'canny', '--control-preprocess', 'none'],
];

describe('generate --from repeats', () => {
  test.each<[name: string, model: string, flags: string[], beside?: string[], ending?: string]>([
    ['image to image', 'sd', [...TEXT, '-i', PHOTO, '--strength', '0.7']],
    ['inpainting', 'sd', [...TEXT, '-i', PHOTO, '--mask', 'MASK', '--mask-blur', '3'], [], 'jpg'],
    ['inpainting that keeps nothing', 'sd', [...TEXT, '-i', PHOTO, '--mask', 'MASK', '--no-keep-original']],
    ['an area', 'nine', [...TEXT, '-i', PHOTO, '--mask', 'MASK', '--padding-mask-crop', '4'], [], 'webp'],
    ['InstructPix2Pix', 'pix2pix', [...TEXT, '-i', PHOTO, '--image-guidance', '1.2']],
    ['depth to image', 'depth', [...TEXT, '-i', PHOTO, '--depth-map', 'MASK']],
    [
      'the x4 upscaler',
      'x4',
      [...TEXT, '-i', PHOTO, '--width', '16', '--height', '16', '--noise-level', '30'],
    ],
    [
      'a ControlNet',
      'sd',
      [...TEXT, '--control-net', 'net', '--control-image', PHOTO, '--control-scale', '0.6'],
    ],
    ['ControlNets by flags that are repeated', 'sd', [...TEXT, ...NETS]],
    [
      'as many ControlNets given again, which count as before',
      'sd',
      [...TEXT, ...NETS],
      ['--control-net', 'net', '--control-net', 'net'],
    ],
    [
      'a T2I-Adapter',
      'sd',
      [...TEXT, '--t2i-adapter', 't2i', '--t2i-adapter-image', PHOTO, '--t2i-adapter-factor', '0.5'],
    ],
    ['SDXL', 'xl', [...TEXT, '--prompt-2', 'b', '--negative-prompt-2', 'c, d']],
    ['SDXL image to image', 'xl', [...TEXT, '-i', PHOTO, '--strength', '0.7']],
    ['SDXL inpainting', 'xl', [...TEXT, '-i', PHOTO, '--mask', 'MASK']],
    ['Text2Video-Zero', 'sd', ['-p', 'a', '--steps', '4', '--seed', '5', '--frames', '2'], [], 'webp'],
    [
      'AnimateDiff',
      'sd',
      [...TEXT, '--frames', '2', '--motion-adapter', 'motion.safetensors'],
      ['--motion-adapter', 'motion.safetensors'],
      'webp',
    ],
    [
      'Stable Video Diffusion',
      'video',
      ['-i', PHOTO, '--width', '64', '--height', '64', '--frames', '2', '--steps', '2', '--seed', '5'],
      [],
      'webp',
    ],
    ['a class', 'ldm', ['--class', '3', '--steps', '4', '--seed', '5']],
    ['DDPM', 'ddpm', ['--steps', '4', '--seed', '5', '--num-images', '1']],
  ])('%s', async (_, model, flags, beside = [], ending = 'png') => {
    const there = (flag: string) => {
      const known: Record<string, string> = { PHOTO: 'photo.png', MASK: 'mask.png' };
      const name = known[flag] ?? flag;
      return ['net', 't2i', 'motion.safetensors', 'photo.png', 'mask.png'].includes(name) ? file(name) : name;
    };
    const [first, again] = [`first.${ending}`, `again.${ending}`];
    expect(await generate(model, first, flags.map(there))).toMatchObject({ code: 0 });
    expect(await generate(model, again, ['--from', file(first), ...beside.map(there)])).toMatchObject({
      code: 0,
    });
    const [a, b] = [await Image.open(file(first)), await Image.open(file(again))];
    expect(b.metadata).toEqual(a.metadata);
    expect(Buffer.compare(b.data, a.data)).toBe(0);
  });
});

test('flags that are repeated are a list, with a value for each', async () => {
  const there = NETS.map((flag) => {
    const known: Record<string, string> = { PHOTO: 'photo.png', MASK: 'mask.png', net: 'net' };
    return known[flag] === undefined ? flag : file(known[flag]);
  });
  expect(await generate('sd', 'two.png', [...TEXT, ...there])).toMatchObject({ code: 0 });
  const { fields } = await readSettings(file('two.png'));
  expect(JSON.parse(fields.ControlNets as string)).toEqual([
    { file: file('net'), scale: 0.6, start: 0, end: 0.5 },
    { file: file('net'), scale: 0.2, start: 0, end: 0.9 },
  ]);
  expect(fields['Control preprocess']).toBe('canny none');
  // Another number of networks is another run: what the picture says of two is no answer for one.
  const one = ['--control-net', file('net'), '--control-image', file('photo.png')];
  const flags = ['--from', file('two.png'), ...one, '--control-preprocess', 'none'];
  expect(await generate('sd', 'one.png', flags)).toMatchObject({ code: 0 });
  const own = (await readSettings(file('one.png'))).fields.ControlNets as string;
  expect(JSON.parse(own)).toEqual([{ file: file('net'), scale: 1, start: 0, end: 1 }]);
});

describe('what cannot be repeated', () => {
  test('a picture that is another one now, or gone, unless it is given', async () => {
    const path = file('other.png');
    const other = new Image({ width: SIZE, height: SIZE, data: new Uint8Array(3 * SIZE * SIZE).fill(9) });
    await other.save(path);
    expect(await generate('sd', 'o.png', [...TEXT, '-i', path])).toMatchObject({ code: 0 });
    other.data.fill(10);
    await other.save(path);
    const changed = await generate('sd', 'p.png', ['--from', file('o.png')]);
    expect(changed).toMatchObject({
      code: 1,
      err: expect.stringContaining('is another picture than the one'),
    });
    rmSync(path);
    const gone = await generate('sd', 'p.png', ['--from', file('o.png')]);
    expect(gone.err).toMatch(/other\.png.*is not there; give --image/);
    const given = await generate('sd', 'p.png', ['--from', file('o.png'), '-i', file('photo.png')]);
    expect(given).toMatchObject({ code: 0 });
  });

  test('pixels of a program of one’s own, whose settings say that they were no file', async () => {
    await using pipe = (await DiffusionPipeline.fromPretrained(models.sd as string)) as DiffusionPipeline;
    await using inpaint = StableDiffusionInpaintPipeline.from(pipe);
    const image = await Image.open(file('photo.png'));
    const run = { prompt: 'a', steps: 3, seed: 5, image, maskImage: file('mask.png') };
    const { images, settings } = await inpaint.generate(run);
    expect(settings[0]).toMatch(/Image: "\{\\"hash\\":\\"[0-9a-f]{12}\\"\}"/);
    await images[0].save(file('own.png'));
    const { err } = await generate('sd', 'q.png', ['--from', file('own.png')]);
    expect(err).toMatch(/no file, which its settings do not hold; give --image/);
    // The library's default is not the command line's.
    const flags = ['--from', file('own.png'), '-i', file('photo.png')];
    expect(await generate('sd', 'q.png', flags)).toMatchObject({ code: 0 });
    expect(Buffer.compare((await Image.open(file('q.png'))).data, images[0].data)).toBe(0);
  });
});

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { PUBLISHED } from '../lib/configs/published.js';
import { originalNaming } from '../lib/models/single-file/original-layouts.js';
import { native } from '../lib/native/binding.js';
import { runCli } from './cli-run.js';
import { assemble, writeRaw } from './models/single-file/assemble.js';

// Commands with a model in a single file.

const FOLDER = 'test/fixtures/sd15-tiny';

let place: string;
let file: string;
beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'deepcache-cli-single-'));
  file = join(place, 'tiny.safetensors');
  writeRaw(file, await assemble(FOLDER));
});
afterAll(() => rmSync(place, { recursive: true }));

/** A file of the size of Stable Diffusion 1.5's U-Net, without anything in it. */
function published(): string {
  const config = PUBLISHED.sd1.files['unet/config.json'] ?? {};
  const naming = originalNaming('sd1', 'unet', config);
  let end = 0;
  const entries = native()
    .weightShapes('unet', JSON.stringify(config))
    .map(({ name, shape }) => {
      const begin = end;
      end += shape.reduce((a, b) => a * b, 1);
      return [naming?.(name).key, { dtype: 'F8_E4M3', shape, data_offsets: [begin, end] }];
    });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const path = join(place, 'published.safetensors');
  const handle = openSync(path, 'w');
  writeSync(handle, Buffer.concat([length, header]));
  ftruncateSync(handle, 8 + header.length + end);
  closeSync(handle);
  return path;
}

test('generate makes the picture of the folder', async () => {
  const pictures: Buffer[] = [];
  for (const model of [
    ['--model', FOLDER],
    ['--model', file, '--config', FOLDER],
  ]) {
    const output = join(place, `${pictures.length}.png`);
    const run = [
      '--prompt',
      'a boat',
      '--steps',
      '2',
      '--seed',
      '4',
      '--device',
      'cpu',
      '-o',
      output,
      '--json',
    ];
    const { code } = await runCli(['generate', ...model, ...run]);
    expect(code).toBe(0);
    pictures.push(await sharp(output).raw().toBuffer());
  }
  expect(pictures[0]).toEqual(pictures[1]);
});

test('generate tells what is wrong before it loads anything', async () => {
  const { code, err } = await runCli([
    'generate',
    '--model',
    file,
    '--prompt',
    'x',
    '-o',
    join(place, 'x.png'),
  ]);
  expect(code).not.toBe(0);
  expect(err).toMatch(/is like Stable Diffusion 1\.x, but its U-Net is \d+ channels wide, not 320.*--config/);
});

test('inspect shows its parts as those of a folder', async () => {
  const { code, out } = await runCli(['inspect', file, '--config', FOLDER, '--check-weights', '--json']);
  expect(code).toBe(0);
  const [single, folder] = [JSON.parse(out), JSON.parse((await runCli(['inspect', FOLDER, '--json'])).out)];
  expect(single.folder).toBe(file);
  const parts = ({ components }: typeof single) =>
    components.map(({ files: _, ...rest }: { files: unknown }) => rest);
  expect(parts(single)).toEqual(parts(folder));
  expect(single.memory).toEqual(folder.memory);
  expect(single.problems).toEqual([]);
});

test('inspect names what is missing of a model, and the option for it', async () => {
  const { code, out } = await runCli(['inspect', published()]);
  expect(code).toBe(1);
  expect(out).toMatch(/pipeline +StableDiffusionPipeline/);
  expect(out).toMatch(/unet +UNet2DConditionModel +859\.5 M +F8_E4M3/);
  expect(out).toMatch(/holds no autoencoder and no text encoder.*--vae, --text-encoder/);
});

test('macs counts the published model', async () => {
  const [single, named] = await Promise.all(
    [
      ['macs', published(), '--json'],
      ['macs', '--model-name', 'sd15', '--json'],
    ].map((argv) => runCli(argv)),
  );
  const { model: _, ...counts } = JSON.parse(single?.out ?? '');
  const { model: __, ...expected } = JSON.parse(named?.out ?? '');
  expect(counts).toEqual(expected);
});

test('a refiner must be a model of SDXL', async () => {
  const run = ['generate', '--model', FOLDER, '--prompt', 'x', '-o', join(place, 'y.png'), '--refiner'];
  const { code, err } = await runCli([...run, published()]);
  expect(code).not.toBe(0);
  expect(err).toMatch(/refiner/);
});

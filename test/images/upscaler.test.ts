import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Image, Upscaler } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import type { Tensor } from '../../lib/tensor.js';
import { runCli } from '../cli-run.js';

// Networks of synthetic weights, under the names of the code bases that publish such files.

const root = mkdtempSync(join(tmpdir(), 'deepcache-upscaler-'));
afterAll(() => rmSync(root, { recursive: true }));

const RRDB = { _class_name: 'RRDBNet', num_feat: 8, num_block: 2, num_grow_ch: 4 };
const COMPACT = { _class_name: 'SRVGGNetCompact', num_feat: 8, num_conv: 2, upscale: 2 };

/** A file in which each tensor has the name that `rename` gives it. */
async function write(name: string, config: object, rename = (tensor: string) => tensor): Promise<string> {
  const path = join(root, `${name}.safetensors`);
  const tensors = native().weightShapes('upscaler', JSON.stringify(config));
  const renamed = tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
  await native().writeSynthetic({ path, tensors: renamed, dtype: 'float32' }).promise;
  return path;
}

const picture = (height: number, width: number): Tensor => ({
  data: Float32Array.from({ length: 3 * height * width }, (_, i) => (Math.sin(i) + 1) / 2),
  shape: [1, 3, height, width],
});

const OLD: Readonly<Record<string, string>> = {
  conv_first: 'model.0',
  conv_body: 'model.1.sub.2',
  conv_up1: 'model.3',
  conv_up2: 'model.6',
  conv_hr: 'model.8',
  conv_last: 'model.10',
};

test.each([
  ['realesrgan', (name: string) => name],
  ['params_ema', (name: string) => `params_ema.${name}`],
  [
    'middle',
    (name: string) =>
      name
        .replace(/^body\.(\d)\.rdb(\d)/, 'RRDB_trunk.$1.RDB$2')
        .replace('conv_body', 'trunk_conv')
        .replace('conv_up', 'upconv')
        .replace('conv_hr', 'HRconv'),
  ],
  [
    'old',
    (name: string) =>
      name
        .replace(/^body\.(\d)\.rdb(\d)\.conv(\d)/, 'model.1.sub.$1.RDB$2.conv$3.0')
        .replace(/^conv_\w+/, (layer) => OLD[layer] ?? layer),
  ],
] as const)('RRDBNet under the names of %s', async (name, rename) => {
  using upscaler = await Upscaler.fromPretrained(await write(name, RRDB, rename), { device: 'cpu' });
  expect(upscaler.scale).toBe(4);
  expect(upscaler.config).toMatchObject({ num_block: 2, num_grow_ch: 4, num_feat: 8, unshuffle: 1 });
  const { shape } = await upscaler.upscaleTensor(picture(5, 7));
  expect(shape).toEqual([1, 3, 20, 28]);
});

test('an x2 network reads squares of pixels, and any picture is made to fit', async () => {
  const path = await write('x2', { ...RRDB, num_in_ch: 3, unshuffle: 2 });
  using upscaler = await Upscaler.fromPretrained(path, { device: 'cpu' });
  expect(upscaler.scale).toBe(2);
  expect((await upscaler.upscaleTensor(picture(5, 7))).shape).toEqual([1, 3, 10, 14]);
});

test('tiles with the whole field of view around them change nothing', async () => {
  using upscaler = await Upscaler.fromPretrained(await write('compact', COMPACT), { device: 'cpu' });
  const image = picture(13, 17);
  const whole = await upscaler.upscaleTensor(image, { tile: 0 });
  const tiled = await upscaler.upscaleTensor(image, { tile: 5, tilePad: 4 });
  const seams = await upscaler.upscaleTensor(image, { tile: 5, tilePad: 0 });
  const difference = (a: Tensor, b: Tensor) =>
    a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - (b.data[i] as number))), 0);
  expect(difference(whole, tiled)).toBeLessThan(1e-5);
  expect(difference(whole, seams)).toBeGreaterThan(1e-3);
});

test('pictures keep their texts; the command does the same', async () => {
  const model = await write('picture', COMPACT);
  using upscaler = await Upscaler.fromPretrained(model, { device: 'cpu' });
  const data = Uint8Array.from({ length: 3 * 6 * 4 }, (_, i) => (i * 7) % 256);
  const image = new Image({ width: 6, height: 4, data, metadata: { parameters: 'a cat' } });
  const large = await upscaler.upscale(image);
  expect([large.width, large.height, large.metadata]).toEqual([12, 8, { parameters: 'a cat' }]);
  const [from, to] = [join(root, 'in.png'), join(root, 'out.png')];
  await image.save(from);
  const { code, out } = await runCli(['upscale', from, '-o', to, '--model', model, '--device', 'cpu']);
  expect([code, out]).toEqual([0, `${to}  12x8\n`]);
  expect((await Image.open(to)).data).toEqual(large.data);
});

test('other files and wrong options are refused', async () => {
  const vae = join(root, 'vae.safetensors');
  const tensors = [{ name: 'encoder.conv_in.weight', shape: [4, 3, 3, 3] }];
  await native().writeSynthetic({ path: vae, tensors, dtype: 'float32' }).promise;
  await expect(Upscaler.fromPretrained(vae)).rejects.toThrow(`${vae} is no upscaler that is known`);
  await expect(Upscaler.fromPretrained(vae, { activation: 'prelu' } as object)).rejects.toThrow(
    'activation must be',
  );
  using upscaler = await Upscaler.fromPretrained(await write('small', COMPACT), { device: 'cpu' });
  const image = new Image({ width: 2, height: 2, data: new Uint8Array(12) });
  await expect(upscaler.upscale(image, { tile: -1 })).rejects.toThrow('tile must be a whole number');
  await expect(upscaler.upscale(image, { tiles: 1 } as object)).rejects.toThrow('did you mean tile?');
  upscaler.dispose();
  await expect(upscaler.upscale(image)).rejects.toMatchObject({ code: 'ERR_DEEPCACHE_DISPOSED' });
});

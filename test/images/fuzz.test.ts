import { beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { bytesOf, loadImages, sizeOf, toMask, toRgb } from '../../lib/images/input.js';
import { readPng } from '../../lib/images/png.js';
import { Image, type ImageInput } from '../../lib/index.js';
import { fuzzRandom, mutated, rounds, settles } from '../fuzz.js';
import { blackPng, chunk } from './png-file.js';

const FORMATS = ['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const;

const seeds: { name: string; bytes: Buffer }[] = [];
beforeAll(async () => {
  const data = Uint8Array.from({ length: 24 * 16 * 3 }, (_, i) => (i * 37) % 256);
  const image = new Image({ width: 24, height: 16, data, metadata: { parameters: 'a cat', other: '写真' } });
  for (const format of ['png', 'jpeg', 'webp'] as const) {
    seeds.push({ name: format, bytes: await image.toBuffer(format) });
  }
  const raw = { width: 24, height: 16, channels: 3 as const };
  for (const format of ['gif', 'tiff', 'avif'] as const) {
    seeds.push({ name: format, bytes: await sharp(data, { raw }).toFormat(format).toBuffer() });
  }
  seeds.push({
    name: 'progressive',
    bytes: await sharp(data, { raw }).jpeg({ progressive: true }).toBuffer(),
  });
});

test(`damaged files of ${FORMATS.join(', ')}`, async () => {
  const random = fuzzRandom(11);
  let read = 0;
  for (let i = 0; i < rounds(600); i++) {
    const { bytes } = random.of(seeds);
    const image = await settles(() => Image.open(mutated(bytes, random), { maxPixels: 2 ** 20 }));
    if (!image) continue;
    read++;
    expect(image.data).toHaveLength(3 * image.width * image.height);
    // What was read can be written.
    await image.toBuffer('png');
  }
  // Or nothing was tried but the first bytes.
  expect(read).toBeGreaterThan(10);
});

test('damaged base64 and data: URLs', async () => {
  const random = fuzzRandom(12);
  for (let i = 0; i < rounds(200); i++) {
    const { name, bytes } = random.of(seeds);
    const url = Buffer.from(`data:image/${name};base64,${bytes.toString('base64')}`);
    const text = mutated(url, random).toString('latin1');
    await settles(() => Image.open(text, { maxPixels: 2 ** 20 }));
  }
});

test('chunks of a PNG in any order, of any length', async () => {
  const random = fuzzRandom(13);
  const names = ['tEXt', 'zTXt', 'iTXt', 'iCCP', 'eXIf', 'IDAT', 'PLTE', 'tRNS', 'acTL', 'prVt', 'IHDR'];
  for (let i = 0; i < rounds(300); i++) {
    const extra = Array.from({ length: random.below(6) }, () =>
      chunk(random.of(names), random.text(['\0', 'key', '\x01', '\xff', 'x\x9c'], random.below(8))),
    );
    const png = mutated(blackPng(16, 16, extra), random);
    const cleaned = await readPng(png, undefined);
    expect(cleaned.png.length).toBeLessThanOrEqual(png.length);
    await settles(() => Image.open(png, { maxPixels: 2 ** 20 }));
  }
});

describe('inputs of pipelines', () => {
  test('raw pixels, tensors and lists that are not what they say', async () => {
    const random = fuzzRandom(14);
    const numbers = [0, 1, 2, 3, 4, 8, 9, -1, 1.5, Number.NaN, 2 ** 31, 2 ** 53, '8', null, undefined];
    const data = () => random.of([new Uint8Array(random.below(300)), new Float32Array(192), 'x', null, [1]]);
    const input = (depth = 0): unknown => {
      const kind = random.below(depth > 1 ? 3 : 4);
      if (kind === 0) {
        const [width, height, channels] = [random.of(numbers), random.of(numbers), random.of(numbers)];
        return { data: data(), width, height, channels };
      }
      if (kind === 1) return { data: data(), shape: [random.of(numbers), 3, 8, random.of(numbers)] };
      if (kind === 2) return random.of([undefined, null, 5, '', {}, Symbol('x'), new Uint8Array(9), () => 1]);
      return Array.from({ length: random.below(3) }, () => input(depth + 1));
    };
    for (let i = 0; i < rounds(2000); i++) {
      const loaded = await settles(() => loadImages('image', input() as ImageInput, 3));
      if (!loaded) continue;
      const { width, height } = sizeOf(loaded);
      expect(bytesOf(loaded, width, height, 3)).toBeGreaterThanOrEqual(0);
      const [rgb, mask] = [
        await toRgb('image', loaded, width, height),
        settles(() => toMask('m', loaded, 8, 8)),
      ];
      expect(rgb.data).toHaveLength(rgb.shape.reduce((a, b) => a * b));
      await mask;
    }
  });
});

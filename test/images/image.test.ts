import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { Image } from '../../lib/images/image.js';

const [width, height] = [24, 16];
const metadata = { parameters: '{"prompt":"(a cat), 50% \\"off\\"","seed":42}', note: 'über 猫 🐈\nline 2' };

/** A smooth image, which lossy formats hardly change. */
function gradient(): Image {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data.set([x * 10, y * 15, 128], (y * width + x) * 3);
  return new Image({ width, height, data, metadata: { ...metadata } });
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-image-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('save and open', () => {
  test('PNG keeps every pixel, and the metadata as text chunks', async () => {
    const path = join(folder, 'a.png');
    await gradient().save(path);
    const image = await Image.open(path);
    expect([image.width, image.height, image.channels]).toEqual([width, height, 3]);
    expect(Buffer.from(image.data).equals(gradient().data)).toBe(true);
    expect(image.metadata).toEqual(metadata);
    const bytes = readFileSync(path);
    expect(bytes.includes('tEXtparameters\0{"prompt"')).toBe(true);
    expect(bytes.includes('iTXtnote\0')).toBe(true);
  });

  test.each(['a.jpg', 'b.JPEG', 'c.webp'])('%s is close, and carries the metadata in EXIF', async (file) => {
    const path = join(folder, file);
    await gradient().save(path, { quality: 100 });
    const format = file.endsWith('webp') ? 'webp' : 'jpeg';
    expect((await sharp(path).metadata()).format).toBe(format);
    const image = await Image.open(readFileSync(path));
    const worst = Math.max(...image.data.map((value, i) => Math.abs(value - (gradient().data[i] as number))));
    expect(worst).toBeLessThan(16);
    expect(image.metadata).toEqual(metadata);
  });

  test('metadata: false keeps the settings out of the file', async () => {
    for (const format of ['png', 'jpeg', 'webp'] as const) {
      const bytes = await gradient().toBuffer(format, { metadata: false });
      expect(bytes.includes('prompt')).toBe(false);
    }
  });

  test('quality makes smaller files', async () => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 2654435761) >>> 24);
    const image = new Image({ width: 64, height: 64, data: noise });
    for (const format of ['jpeg', 'webp'] as const) {
      const [low, high] = [
        await image.toBuffer(format, { quality: 20 }),
        await image.toBuffer(format, { quality: 95 }),
      ];
      expect(low.length).toBeLessThan(high.length / 2);
    }
  });

  test('open turns grey, transparent and 16-bit images into 8-bit RGB', async () => {
    const grey = await sharp(Buffer.from([10, 200]), { raw: { width: 2, height: 1, channels: 1 } })
      .png()
      .toBuffer();
    expect([...(await Image.open(grey)).data]).toEqual([10, 10, 10, 200, 200, 200]);
    const rgba = await sharp(Buffer.from([1, 2, 3, 0]), { raw: { width: 1, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    expect([...(await Image.open(rgba)).data]).toEqual([1, 2, 3]);
    const deep = await sharp(Buffer.from([0, 128, 255]), { raw: { width: 1, height: 1, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect([...(await Image.open(deep)).data]).toEqual([0, 128, 255]);
  });

  test("open reads other people's EXIF without tripping", async () => {
    const bytes = await sharp(Buffer.from(gradient().data), { raw: { width, height, channels: 3 } })
      .withExif({ IFD0: { ImageDescription: 'my holiday' } })
      .jpeg()
      .toBuffer();
    expect((await Image.open(bytes)).metadata).toEqual({});
  });
});

describe('floats', () => {
  test('fromFloat takes planes, clamps, and rounds half to even', async () => {
    const values = Float32Array.of(0, 1, -0.5, 2, 0.5, Number.NaN);
    const image = await Image.fromFloat(values, 2, 1);
    expect([...image.data]).toEqual([0, 0, 128, 255, 255, 0]);
    expect([...(await Image.fromFloat(Float32Array.of(-1, 0, 1), 1, 1, 'signed')).data]).toEqual([
      0, 128, 255,
    ]);
    // 126.5 / 255 in single precision, times 255, is 126.5 again
    expect((await Image.fromFloat(new Float32Array(3).fill(126.5 / 255), 1, 1)).data[0]).toBe(126);
  });

  test.each(['unit', 'signed'] as const)('toFloat is the inverse (%s)', async (range) => {
    const image = gradient();
    const floats = await image.toFloat(range);
    const again = await Image.fromFloat(floats, width, height, range);
    expect(again.data).toEqual(image.data);
    expect(floats[2 * width * height]).toBeCloseTo(range === 'unit' ? 128 / 255 : (128 / 255) * 2 - 1, 6);
  });

  test('fromFloatBatch splits a batch', async () => {
    const images = await Image.fromFloatBatch(Float32Array.of(0, 0, 0, 1, 1, 1), 1, 1);
    expect(images.map(({ data }) => [...data])).toEqual([
      [0, 0, 0],
      [255, 255, 255],
    ]);
  });
});

describe('errors', () => {
  const refuses = (promise: Promise<unknown>, code: string, message: RegExp) =>
    expect(promise).rejects.toMatchObject({ code, message: expect.stringMatching(message) });

  test('name the file', async () => {
    const text = join(folder, 'text.png');
    writeFileSync(text, 'no image');
    await refuses(Image.open(text), 'ERR_DEEPCACHE_IMAGE', /text\.png cannot be read: it is not a PNG/);
    await refuses(
      Image.open(join(folder, 'none.png')),
      'ERR_DEEPCACHE_IMAGE',
      /none\.png cannot be read: ENOENT/,
    );
    await refuses(
      gradient().save(join(folder, 'no/a.png')),
      'ERR_DEEPCACHE_IMAGE',
      /a\.png cannot be written/,
    );
    await refuses(gradient().save('a.gif'), 'ERR_DEEPCACHE_IMAGE', /a\.gif ends in \.gif; images are/);
    const truncated = (await gradient().toBuffer('png')).subarray(0, 150);
    await refuses(Image.open(truncated), 'ERR_DEEPCACHE_IMAGE', /the image cannot be read/);
  });

  test('name the argument', async () => {
    const code = 'ERR_DEEPCACHE_INVALID_ARGUMENT';
    expect(() => new Image({ width: 2, height: 2, data: new Uint8Array(11) })).toThrow(/data has 11 bytes/);
    await expect(Image.fromFloat(new Float32Array(3), 0, 1)).rejects.toThrow(/width is 0/);
    await expect(Image.fromFloat(new Float32Array(4), 1, 1)).rejects.toThrow(/values has 4 numbers/);
    await expect(Image.fromFloatBatch(new Float32Array(4), 1, 1)).rejects.toThrow(/multiple of 3x1x1/);
    await refuses(gradient().toBuffer('gif' as 'png'), code, /format is "gif"/);
    await refuses(gradient().toBuffer('jpeg', { quality: Number.NaN }), code, /quality is NaN/);
    const image = gradient();
    image.metadata = { '': 'x' };
    await refuses(image.toBuffer('png'), code, /metadata has the key ""/);
    image.metadata = { long: 'x'.repeat(70_000) };
    await refuses(image.toBuffer('jpeg'), 'ERR_DEEPCACHE_IMAGE', /too long for EXIF/);
  });
});

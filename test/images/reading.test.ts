import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { readPng } from '../../lib/images/png.js';
import { Image } from '../../lib/index.js';
import { blackPng, chunk, header, SIGNATURE } from './png-file.js';

let folder: string;
let png: Buffer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-'));
  png = await new Image({ width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }).toBuffer();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function refuses(source: string | Uint8Array, message: RegExp, options = {}) {
  const error = await Image.open(source, options).catch((error: Error) => error);
  expect(error).toMatchObject({
    code: 'ERR_DEEPCACHE_IMAGE',
    message: expect.stringMatching(message),
  });
  // The input is never repeated.
  expect((error as Error).message.length).toBeLessThan(500);
}

describe('what a text stands for', () => {
  test('data: URLs and base64, as browsers and mail send them', async () => {
    const jpeg = (await Image.open(png)).toBuffer('jpeg');
    for (const bytes of [png, await jpeg]) {
      const text = bytes.toString('base64');
      const lines = (text.match(/.{1,76}/g) as string[]).join('\r\n');
      for (const source of [
        text,
        bytes.toString('base64url'),
        `data:image/png;base64,${text}`,
        `DATA:image/x;charset=utf-8;BASE64,${text}`,
        `data:;base64,${lines}`,
        `\n  data:;base64,${text}`,
      ]) {
        const { width, height } = await Image.open(source);
        expect([width, height]).toEqual([2, 1]);
      }
    }
  });

  test.each([
    [
      `data:image/png;base64,${'A'.repeat(300_000)}`,
      /data: URL of type image\/png cannot be read: it is not a PNG/,
    ],
    ['data:image/svg+xml;utf8,<svg/>', /data: URL of type image\/svg\+xml is not in base64/],
    [`iVBORw0KGgo${'A'.repeat(300_000)}`, /the image cannot be read/],
    ['https://example.com/cat.png', /https:\/\/example\.com\/cat\.png is a URL; fetch it/],
    [`http://example.com/${'x'.repeat(100_000)}`, /is a URL/],
    ['x'.repeat(100_000), /^x{200}… \(100000 characters\) cannot be read: ENAMETOOLONG/],
    ['nowhere\0.png', /cannot be read/],
    ['', /the image is an empty text/],
  ])('refuses %.40j without repeating it', (source, message) => refuses(source, message));
});

describe('files', () => {
  test('a pipe does not hold anything up, and a signal is heard', async () => {
    const pipe = join(folder, 'pipe.png');
    execFileSync('mkfifo', [pipe]);
    await refuses(pipe, /pipe\.png is a pipe, not a file/);
    await refuses('/dev/zero', /zero is a device/);
    await refuses(folder, /is a folder/);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(Image.open(png, { signal })).rejects.toThrow('enough');
  });

  test.each([
    ['a drawing', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'],
    ['a drawing behind a declaration', '<?xml version="1.0"?><svg width="9" height="9"/>'],
    ['a document', '%PDF-1.4'],
    ['no bytes', ''],
    ['a text', 'hello'],
  ])('%s is no picture', async (_, text) => {
    const path = join(folder, 'fake.png');
    writeFileSync(path, text);
    await refuses(path, /fake\.png cannot be read: it is not a PNG, JPEG, WebP, GIF, TIFF or AVIF/);
    await refuses(Buffer.from(text), /^the image cannot be read: it is not a PNG/);
  });

  test.each(['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const)('%s is read', async (format) => {
    const raw = { width: 8, height: 8, channels: 3 as const };
    const bytes = await sharp(Buffer.alloc(192, 200), { raw }).toFormat(format).toBuffer();
    const image = await Image.open(bytes);
    expect([image.width, image.height]).toEqual([8, 8]);
    expect(image.data.every((value) => Math.abs(value - 200) < 5)).toBe(true);
  });
});

describe('sizes are looked at before anything is unpacked', () => {
  test.each([
    [65_536, 1, /65536x1 pixels; at most 65535 a side/],
    [16_383, 16_383, /pixel/],
    [8193, 8192, /pixel/],
  ])('%d x %d', async (width, height, message) => {
    // No pixels at all are behind the header.
    await refuses(
      Buffer.concat([SIGNATURE, header(width, height), chunk('IDAT', 'x'), chunk('IEND')]),
      message,
    );
  });

  test('limits of the calling code', async () => {
    await refuses(blackPng(101, 100), /pixel/, { maxPixels: 10_000 });
    expect((await Image.open(blackPng(100, 100), { maxPixels: 10_000 })).width).toBe(100);
    expect((await Image.open(blackPng(65_535, 2))).width).toBe(65_535);
  });
});

describe('texts of PNG files', () => {
  const bomb = deflateSync(Buffer.alloc(2 ** 24), { level: 9 });

  test('those that unpack to more than a few MB are left out, and the picture is read', async () => {
    const texts = Array.from({ length: 100 }, (_, i) =>
      chunk('zTXt', Buffer.concat([Buffer.from(`bomb${i}\0\0`), bomb])),
    );
    const international = chunk('iTXt', Buffer.concat([Buffer.from('bomb\0\x01\0\0\0'), bomb]));
    const profile = chunk('iCCP', Buffer.concat([Buffer.from('bomb\0\0'), bomb]));
    const own = chunk('tEXt', 'parameters\0a cat');
    const image = await Image.open(blackPng(64, 64, [profile, own, ...texts, international]));
    expect(image.width).toBe(64);
    expect(image.metadata).toEqual({});
    // One that is fine, before the first bomb uses up what all may take.
    expect((await Image.open(blackPng(64, 64, [own, ...texts]))).metadata).toEqual({ parameters: 'a cat' });
  });

  test('the decoder gets nothing but the picture', async () => {
    const plain = blackPng(8, 8);
    const full = blackPng(8, 8, [
      chunk('tEXt', 'a\0b'),
      chunk('zTXt', Buffer.concat([Buffer.from('c\0\0'), deflateSync('d')])),
      chunk('iTXt', 'e\0\0\0en\0f\0g'),
      chunk('prVt', 'x'.repeat(100)),
      chunk('sPLT', 'x\0'),
    ]);
    const { png, texts } = await readPng(Buffer.concat([full, Buffer.from('tail')]), undefined);
    expect(png).toEqual(plain);
    expect(texts).toEqual({ a: 'b', c: 'd', e: 'g' });
    expect((await readPng(plain, undefined)).png.buffer).toBe(plain.buffer);
  });

  test('those of others: Latin-1, UTF-8, and damaged ones', async () => {
    const { metadata } = await Image.open(
      blackPng(8, 8, [
        chunk('tEXt', 'T\xedtulo\0caf\xe9'),
        chunk('iTXt', Buffer.from('Titel\0\0\0\0\0写真')),
        chunk('tEXt', 'no end'),
        chunk('tEXt', '\0no keyword'),
        chunk('tEXt', `${'k'.repeat(90)}\0too long a keyword`),
        chunk('zTXt', 'damaged\0\0xxxx'),
        chunk('zTXt', 'short\0'),
        chunk('iTXt', 'short\0\0'),
        chunk('tEXt', '__proto__\0x'),
        chunk('tEXt', ''),
      ]),
    );
    expect(Object.entries(metadata)).toEqual([
      ['Título', 'café'],
      ['Titel', '写真'],
      ['__proto__', 'x'],
    ]);
  });

  test('are written so that everybody can read them', async () => {
    const metadata = { parameters: 'a\0b', Título: 'café', half: '\ud800', empty: '' };
    const image = new Image({ width: 1, height: 1, data: new Uint8Array(3), metadata });
    const bytes = await image.toBuffer();
    const read = { ...metadata, parameters: 'a\ufffdb', half: '\ufffd' };
    expect((await Image.open(bytes)).metadata).toEqual(read);
    const { comments } = await sharp(bytes).metadata();
    expect(comments).toContainEqual({ keyword: 'parameters', text: 'a\ufffdb' });
    // As in other formats, where EXIF's JSON holds all of it.
    expect((await Image.open(await image.toBuffer('webp'))).metadata).toEqual(metadata);
  });

  test('a file of many chunks', async () => {
    const many = Buffer.concat([SIGNATURE, header(8, 8), Buffer.alloc(270_000 * 12, chunk('teXt'))]);
    await refuses(many, /more than 262144 chunks/);
    const cut = blackPng(8, 8).subarray(0, 40);
    await refuses(cut, /cannot be read/);
  });
});

test('colour profiles of a PNG count together', async () => {
  const profile = chunk('iCCP', Buffer.concat([Buffer.from('p\0\0'), Buffer.alloc(600_000)]));
  const { png } = await readPng(blackPng(8, 8, [profile, profile, profile]), undefined);
  expect(png.length).toBeLessThan(2 * 600_000);
});

test('an AVIF of more bytes than pixels are allowed', async () => {
  const bytes = Buffer.alloc(2 ** 26 + 1);
  bytes.write('ftypavif', 4);
  await refuses(bytes, /67108865 bytes; of an AVIF at most 67108864/);
});

test('an EXIF description of somebody else is not taken over', async () => {
  const raw = { width: 1, height: 1, channels: 3 as const };
  const exif = { IFD0: { ImageDescription: JSON.stringify({ ok: 'x', 'bad\tkey': 'y', n: 1 }) } };
  const jpeg = await sharp(Buffer.alloc(3), { raw }).withExif(exif).jpeg().toBuffer();
  expect((await Image.open(jpeg)).metadata).toEqual({ ok: 'x' });
});

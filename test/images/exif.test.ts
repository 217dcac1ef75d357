import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { intoJpeg, intoWebp } from '../../lib/images/embed-exif.js';
import { fromExif, toExif } from '../../lib/images/exif.js';
import { Image, readSettings, saveVideo } from '../../lib/index.js';
import { inOneGo } from '../../lib/slices.js';

const SETTINGS = 'a castle 東京\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 12, Size: 64x64';
const comment = (code: string, text: Buffer) => Buffer.concat([Buffer.from(code, 'latin1'), text]);
const utf16 = (text: string) => Buffer.from(text, 'utf16le');

/** A block as Pillow writes it: a comment of bytes (type 1) in the directory of EXIF. */
function block(text: Buffer, { little = false, type = 1 } = {}): Buffer {
  const out = Buffer.alloc(8 + 18 + 18);
  const u16 = (value: number, at: number) =>
    little ? out.writeUInt16LE(value, at) : out.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    little ? out.writeUInt32LE(value, at) : out.writeUInt32BE(value, at);
  out.write(little ? 'II' : 'MM');
  u16(42, 2);
  u32(8, 4);
  for (const [at, tag, of, count, value] of [
    [8, 0x8769, 4, 1, 26],
    [26, 0x9286, type, text.length, 44],
  ] as const) {
    u16(1, at);
    u16(tag, at + 2);
    u16(of, at + 4);
    u32(count, at + 6);
    u32(value, at + 10);
  }
  return Buffer.concat([out, text]);
}

describe('the UserComment of image programs', () => {
  test.each([
    ['big-endian', block(comment('UNICODE\0', utf16(SETTINGS).swap16()))],
    ['little-endian', block(comment('UNICODE\0', utf16(SETTINGS)))],
    [
      'little-endian in a little-endian block',
      block(comment('UNICODE\0', utf16(SETTINGS)), { little: true, type: 7 }),
    ],
    ['without a code', block(comment('\0'.repeat(8), Buffer.from(SETTINGS)))],
    [
      'ASCII, with the marker of a JPEG before the block',
      Buffer.concat([Buffer.from('Exif\0\0'), block(comment('ASCII\0\0\0', Buffer.from(SETTINGS)))]),
    ],
  ])('%s', (_, exif) => {
    expect(fromExif(exif)).toEqual({ parameters: SETTINGS });
  });

  test.each([
    ['of a camera', block(comment('ASCII\0\0\0', Buffer.from('ISO 100')))],
    ['of blanks', block(comment('\0'.repeat(8), Buffer.alloc(40)))],
    ['of another code', block(comment('JIS\0\0\0\0\0', Buffer.from(SETTINGS)))],
    ['cut short', block(comment('UNICODE\0', utf16(SETTINGS))).subarray(0, 30)],
    ['of no bytes', Buffer.alloc(0)],
    ['with directories that go round', block(Buffer.alloc(9)).fill(8, 30, 34)],
  ])('%s is left alone', (_, exif) => {
    expect(fromExif(exif)).toEqual({});
  });

  test('in files of JPEG and WebP is read as settings', async () => {
    const raw = { width: 9, height: 7, channels: 3 as const };
    const exif = block(comment('UNICODE\0', utf16(SETTINGS).swap16()));
    const plain = sharp(Buffer.alloc(3 * 63, 80), { raw });
    const files = [
      inOneGo(intoJpeg(await plain.clone().jpeg().toBuffer(), exif)),
      inOneGo(intoWebp(await plain.clone().webp().toBuffer(), exif, raw)),
    ];
    for (const file of files) {
      const { prompt, fields } = await readSettings(file);
      expect([prompt, fields.Seed]).toEqual(['a castle 東京', '12']);
      expect(await Image.open(file)).toMatchObject({ width: 9, height: 7 });
    }
  });
});

describe('our own', () => {
  const image = (metadata: Record<string, string>) =>
    new Image({ width: 5, height: 3, data: new Uint8Array(45).fill(7), metadata });

  test.each(['jpeg', 'webp'] as const)(
    '.%s has the settings where others look, and is still a picture',
    async (format) => {
      const metadata = { parameters: 'a café\0 😀 \ud800\nSteps: 1, Seed: 2', note: 'x' };
      const bytes = await image(metadata).toBuffer(format);
      expect((await Image.open(bytes)).metadata).toEqual(metadata);
      const { exif, width, height } = await sharp(bytes).metadata();
      expect([width, height]).toEqual([5, 3]);
      const found = (exif as Buffer).indexOf('UNICODE\0') + 8;
      const text = Buffer.from((exif as Buffer).subarray(found, found + 12)).swap16();
      expect(text.toString('utf16le')).toBe('a café');
    },
  );

  test('texts that two bytes a character make too long are in the description', () => {
    const metadata = { parameters: `${'long '.repeat(8000)}\nSteps: 1` };
    const exif = toExif(metadata) as Buffer;
    expect(exif.length).toBeLessThan(60_000);
    expect(fromExif(exif)).toEqual(metadata);
    expect(toExif({ parameters: 'x'.repeat(70_000) })).toBeUndefined();
  });

  test('an animated WebP has them too', async () => {
    const frames = [image({ parameters: 'a\nSteps: 1' }), image({ parameters: 'a\nSteps: 1' })];
    frames[1]?.data.fill(200);
    const folder = mkdtempSync(join(tmpdir(), 'deepcache-exif-'));
    const path = await saveVideo(frames, join(folder, 'a.webp'));
    expect((await Image.open(path)).metadata).toEqual({ parameters: 'a\nSteps: 1' });
    expect((await sharp(path).metadata()).pages).toBe(2);
    rmSync(folder, { recursive: true });
  });
});

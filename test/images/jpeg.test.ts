import { beforeAll, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { bareJpeg } from '../../lib/images/jpeg.js';
import { Image } from '../../lib/index.js';

function segment(marker: number, start: string, bytes = 65_533): Buffer {
  const out = Buffer.alloc(2 + 2 + bytes, 0x41);
  out.writeUInt16BE(0xff00 | marker);
  out.writeUInt16BE(2 + bytes, 2);
  out.write(start, 4, 'latin1');
  return out;
}

const raw = { width: 16, height: 8, channels: 3 as const };
const pixels = Buffer.from(Array.from({ length: 16 * 8 * 3 }, (_, i) => (i * 37) % 256));
const START = Buffer.from([0xff, 0xd8]);
/** A JPEG with more behind its first marker. */
const withSegments = (jpeg: Buffer, ...extra: Buffer[]) => Buffer.concat([START, ...extra, jpeg.subarray(2)]);

let plain: Buffer;
beforeAll(async () => {
  plain = await sharp(pixels, { raw }).jpeg().toBuffer();
});

describe('what is no part of a JPEG picture never gets to the decoder', () => {
  test.each<[string, Buffer]>([
    ['XMP', segment(0xe1, 'http://ns.adobe.com/xap/1.0/\0')],
    ['IPTC', segment(0xed, 'Photoshop 3.0\0')],
    ['comments', segment(0xfe, 'x')],
    ['thumbnails', segment(0xe0, 'JFXX\0')],
    ['of other programs', segment(0xe5, 'x')],
    ['pictures behind it', segment(0xe2, 'MPF\0')],
    ['filling', Buffer.alloc(100, 0xff)],
  ])('%s', async (_, extra) => {
    expect(await bareJpeg(withSegments(plain, extra, extra), undefined)).toEqual(plain);
    expect((await Image.open(withSegments(plain, extra))).data).toEqual((await Image.open(plain)).data);
  });

  test('one of each kind that says how it looks is kept, and few MB of a profile', async () => {
    const exif = segment(0xe1, 'Exif\0\0II*\0', 100);
    const adobe = segment(0xee, 'Adobe\0d', 12);
    const given = withSegments(plain, exif, exif, adobe, adobe);
    expect(await bareJpeg(given, undefined)).toEqual(withSegments(plain, exif, adobe));
    const profile = Array.from({ length: 100 }, () => segment(0xe2, 'ICC_PROFILE\0'));
    const kept = (await bareJpeg(withSegments(plain, ...profile), undefined)).length - plain.length;
    expect(kept).toBeGreaterThan(4e6);
    expect(kept).toBeLessThanOrEqual(2 ** 22 + 64 * 4);
  });

  test('a file without anything else is not copied', async () => {
    expect((await bareJpeg(plain, undefined)).buffer).toBe(plain.buffer);
  });

  test('what turns it and its colours still counts', async () => {
    const turned = await sharp(pixels, { raw }).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await Image.open(turned)).toMatchObject({ width: 8, height: 16 });
    const wide = await sharp(pixels, { raw }).withIccProfile('p3').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(await bareJpeg(wide, undefined)).metadata()).icc).toBeDefined();
    const printed = await sharp(pixels, { raw }).toColourspace('cmyk').jpeg().toBuffer();
    const direct = await sharp(printed).toColourspace('srgb').removeAlpha().raw().toBuffer();
    expect(Buffer.from((await Image.open(printed)).data)).toEqual(direct);
  });

  test('damaged ones', async () => {
    const image = 'ERR_DEEPCACHE_IMAGE';
    const many = withSegments(plain, ...Array.from({ length: 70_000 }, () => segment(0xfe, '', 0)));
    await expect(Image.open(many)).rejects.toMatchObject({
      code: image,
      message: expect.stringContaining('more than 65536 segments'),
    });
    const cut = withSegments(plain, segment(0xe1, 'Exif\0\0')).subarray(0, 1000);
    for (const bytes of [cut, Buffer.from([0xff, 0xd8, 0xff]), Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0, 0])]) {
      await expect(Image.open(bytes)).rejects.toMatchObject({ code: image });
    }
  });
});

import type { Sliced } from '../slices.js';
import { join } from './ranges.js';

const LATIN1 = 'latin1' as const;

/** Puts a block of EXIF into an encoded JPEG: a segment right behind its first marker (EXIF 2.32, 4.7). */
export function* intoJpeg(jpeg: Buffer, exif: Buffer): Sliced<Buffer> {
  const head = Buffer.from('\xff\xe1\0\0Exif\0\0', LATIN1);
  head.writeUInt16BE(exif.length + head.length - 2, 2);
  return yield* join([jpeg.subarray(0, 2), head, exif, jpeg.subarray(2)]);
}

/**
 * Puts a block of EXIF into an encoded WebP: a chunk at its end, which a chunk at the beginning announces ("WebP
 * Container Specification", extended file format).
 */
export function* intoWebp(
  webp: Buffer,
  exif: Buffer,
  { width, height }: { readonly width: number; readonly height: number },
): Sliced<Buffer> {
  const isExtended = webp.toString(LATIN1, 12, 16) === 'VP8X';
  const announced = isExtended ? Buffer.from(webp.subarray(12, 30)) : chunk('VP8X', Buffer.alloc(10));
  announced.writeUInt8(announced.readUInt8(8) | 0x08, 8);
  if (!isExtended) {
    announced.writeUIntLE(width - 1, 12, 3);
    announced.writeUIntLE(height - 1, 15, 3);
  }
  const rest = webp.subarray(isExtended ? 30 : 12);
  const last = chunk('EXIF', exif);
  const head = Buffer.from(webp.subarray(0, 12));
  head.writeUInt32LE(4 + announced.length + rest.length + last.length, 4);
  return yield* join([head, announced, rest, last]);
}

/** Of even length, as all are. */
function chunk(name: string, data: Buffer): Buffer {
  const head = Buffer.from(`${name}\0\0\0\0`, LATIN1);
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
}

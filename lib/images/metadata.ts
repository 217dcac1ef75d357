import { crc32 } from 'node:zlib';

/** Texts stored in an image file by name, for example `{ parameters: '{"prompt":"a cat","seed":42}' }`. */
export type ImageMetadata = Record<string, string>;

const PNG_SIGNATURE_AND_HEADER = 8 + 25;

/**
 * Puts one text chunk per entry behind the header of an encoded PNG: tEXt (Latin-1) where the text allows
 * it, since every reader knows it, else iTXt (UTF-8). sharp has no way to write either.
 *
 * Source: PNG specification, third edition, sections 5.3 and 11.3.3.
 */
export function addPngText(png: Buffer, metadata: ImageMetadata): Buffer {
  const chunks = Object.entries(metadata).map(([keyword, text]) =>
    isLatin1(text)
      ? pngChunk('tEXt', Buffer.from(`${keyword}\0${text}`, 'latin1'))
      : // Behind the keyword: not compressed (2 bytes), no language, no translated keyword.
        pngChunk('iTXt', Buffer.from(`${keyword}\0\0\0\0\0${text}`, 'utf8')),
  );
  const [head, rest] = [png.subarray(0, PNG_SIGNATURE_AND_HEADER), png.subarray(PNG_SIGNATURE_AND_HEADER)];
  return Buffer.concat([head, ...chunks, rest]);
}

/** What PNG allows as a keyword, kept to ASCII: 1 to 79 printable characters, no space at the ends. */
export function isPngKeyword(keyword: string): boolean {
  return /^[!-~](?:[ -~]{0,77}[!-~])?$/.test(keyword);
}

function isLatin1(text: string): boolean {
  return /^[\n\x20-\x7e\xa0-\xff]*$/.test(text);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.alloc(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, data.length + 8)), data.length + 8);
  return chunk;
}

/**
 * The text of EXIF's ImageDescription: JSON in ASCII, because that is all the tag can hold. One segment of a
 * JPEG has 64 KiB; undefined when the metadata does not fit.
 */
export function toExifDescription(metadata: ImageMetadata): string | undefined {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  // Without the `u` flag, so that each half of a surrogate pair is escaped by itself, as JSON wants it.
  const text = JSON.stringify(metadata).replace(/[^ -~]/g, escaped);
  return text.length <= 60_000 ? text : undefined;
}

/** The inverse of {@link toExifDescription}, from a whole EXIF block; empty for other people's files. */
export function fromExif(exif: Buffer): ImageMetadata {
  try {
    const value: unknown = JSON.parse(imageDescription(exif));
    const texts = Object.entries(value as object).filter(([, text]) => typeof text === 'string');
    return Object.fromEntries(texts);
  } catch {
    return {}; // no description, one that is not ours, or a damaged block: the pixels are what counts
  }
}

/** Walks IFD0 of a TIFF structure to tag 0x010E. Throws RangeError where the block is cut short. */
function imageDescription(exif: Buffer): string {
  const tiff = exif.subarray(exif.toString('latin1', 0, 6) === 'Exif\0\0' ? 6 : 0);
  const little = tiff.toString('latin1', 0, 2) === 'II';
  const u16 = (at: number) => (little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const u32 = (at: number) => (little ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at));
  const ifd = u32(4);
  for (let i = 0; i < u16(ifd); i++) {
    const entry = ifd + 2 + 12 * i;
    if (u16(entry) !== 0x010e) continue;
    const length = u32(entry + 4);
    const start = length > 4 ? u32(entry + 8) : entry + 8;
    return tiff.toString('latin1', start, start + length - 1);
  }
  return '';
}

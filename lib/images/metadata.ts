/** Texts stored in an image file by name, for example `{ parameters: '{"prompt":"a cat","seed":42}' }`. */
export type ImageMetadata = Record<string, string>;

/** What PNG allows as a keyword: 1 to 79 printable characters of Latin-1, spaces between words only. */
export function isPngKeyword(keyword: string): boolean {
  return /^(?! )[ -~\xa1-\xff]{1,79}(?<! )$/.test(keyword) && !keyword.includes('  ');
}

/** One segment of a JPEG has 64 KiB. */
const MOST_DESCRIPTION = 60_000;
/** WebP may have more; a description is looked for in the first part. */
const MOST_EXIF = 2 ** 20;

/**
 * The text of EXIF's ImageDescription: JSON in ASCII, because that is all the tag can hold. Undefined
 * when the metadata does not fit.
 */
export function toExifDescription(metadata: ImageMetadata): string | undefined {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  // Without the `u` flag, so that each half of a surrogate pair is escaped by itself, as JSON wants it.
  const short = JSON.stringify(metadata);
  const text = short.length <= MOST_DESCRIPTION ? short.replace(/[^ -~]/g, escaped) : short;
  return text.length <= MOST_DESCRIPTION ? text : undefined;
}

/** The inverse of {@link toExifDescription}, from a whole EXIF block; empty for other people's files. */
export function fromExif(exif: Buffer): ImageMetadata {
  try {
    const value: unknown = JSON.parse(imageDescription(exif.subarray(0, MOST_EXIF)));
    // What could not be written as a PNG is not ours.
    const texts = Object.entries(value as object).filter(
      ([keyword, text]) => typeof text === 'string' && isPngKeyword(keyword),
    );
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

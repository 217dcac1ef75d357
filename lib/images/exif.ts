import { type ImageMetadata, isPngKeyword } from './metadata.js';

// Texts of a JPEG or WebP: EXIF 2.32, over the structure of TIFF 6.0. `parameters` is where image programs look for it, in
// the UserComment; other texts are JSON in the ImageDescription.

const DESCRIPTION = 0x010e;
const SOFTWARE = 0x0131;
/** In IFD0: where the entries of EXIF are. */
const EXIF = 0x8769;
const USER_COMMENT = 0x9286;

const BYTE = 1;
const ASCII = 2;
const LONG = 4;
const UNDEFINED = 7;

const OWN = 'deepcache';
/** What stands before a comment: how its characters are written. */
const UNICODE = 'UNICODE\0';

/** One segment of a JPEG has 64 KiB. */
const MOST_BYTES = 60_000;
/** WebP may have more; texts are looked for in the first part. */
const MOST_EXIF = 2 ** 20;
/** Entries of a directory that are looked at. */
const MOST_ENTRIES = 1000;

/** A block of EXIF that holds the texts; undefined when they do not fit. */
export function toExif(metadata: ImageMetadata): Buffer | undefined {
  const { parameters, ...others } = metadata;
  const comment = parameters === undefined ? undefined : commentOf(parameters);
  const apart = describe(others);
  if (comment && apart && comment.length + apart.length <= MOST_BYTES) return block(apart, comment);
  // ASCII is shorter than two bytes a character, for long texts.
  const description = describe(metadata);
  return description && block(description, undefined);
}

/** Two bytes a character, the higher first, as the web UI writes it. */
function commentOf(text: string): Buffer {
  return Buffer.concat([Buffer.from(UNICODE, 'latin1'), Buffer.from(text, 'utf16le').swap16()]);
}

/** JSON in ASCII, which is all that a description can hold. */
function describe(metadata: ImageMetadata): Buffer | undefined {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  if (Object.keys(metadata).length === 0) return Buffer.alloc(0);
  // Without the `u` flag, so that each half of a surrogate pair is escaped by itself, as JSON wants it.
  const short = JSON.stringify(metadata);
  const text = short.length <= MOST_BYTES ? short.replace(/[^ -~]/g, escaped) : short;
  return text.length <= MOST_BYTES ? Buffer.from(`${text}\0`, 'latin1') : undefined;
}

interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly data: Buffer;
}

function block(description: Buffer, comment: Buffer | undefined): Buffer {
  const texts: Entry[] = [
    ...(description.length > 0 ? [{ tag: DESCRIPTION, type: ASCII, data: description }] : []),
    { tag: SOFTWARE, type: ASCII, data: Buffer.from(`${OWN}\0`, 'latin1') },
  ];
  const header = Buffer.from([0x4d, 0x4d, 0, 42, 0, 0, 0, 8]);
  if (!comment) return Buffer.concat([header, directory(texts, header.length)]);
  const place = Buffer.alloc(4);
  const entries = [...texts, { tag: EXIF, type: LONG, data: place }];
  const end = header.length + directory(entries, header.length).length;
  place.writeUInt32BE(end);
  const exif = directory([{ tag: USER_COMMENT, type: UNDEFINED, data: comment }], end);
  return Buffer.concat([header, directory(entries, header.length), exif]);
}

/** Entries in the order of their tags, then what they point to. */
function directory(entries: readonly Entry[], start: number): Buffer {
  const size = 2 + 12 * entries.length + 4;
  const table = Buffer.alloc(size);
  const values: Buffer[] = [];
  let next = start + size;
  table.writeUInt16BE(entries.length);
  for (const [i, { tag, type, data }] of entries.entries()) {
    const at = 2 + 12 * i;
    table.writeUInt16BE(tag, at);
    table.writeUInt16BE(type, at + 2);
    table.writeUInt32BE(type === LONG ? 1 : data.length, at + 4);
    if (data.length <= 4) {
      data.copy(table, at + 8);
      continue;
    }
    table.writeUInt32BE(next, at + 8);
    // Values begin at even places.
    values.push(data, Buffer.alloc(data.length % 2));
    next += data.length + (data.length % 2);
  }
  return Buffer.concat([table, ...values]);
}

/** The texts of a block of EXIF: ours, and the settings that image programs leave in the comment; else empty. */
export function fromExif(exif: Buffer): ImageMetadata {
  try {
    const start = exif.toString('latin1', 0, 6) === 'Exif\0\0' ? 6 : 0;
    const reader = new TiffReader(exif.subarray(start, start + MOST_EXIF));
    const own = reader.entries(reader.u32(4));
    const software = own.get(SOFTWARE)?.toString('latin1').replace(/\0.*$/s, '');
    const place = own.get(EXIF);
    const inside = place && reader.entries(reader.u32In(place));
    const parameters = textOf(inside?.get(USER_COMMENT), reader.isLittle);
    // A camera's comment is none of settings.
    const isSettings = software === OWN || /\bSteps: \d/.test(parameters ?? '');
    return {
      ...(parameters !== undefined && isSettings && { parameters }),
      ...described(own.get(DESCRIPTION)),
    };
  } catch {
    return {}; // a damaged block: the pixels are what counts
  }
}

function described(description: Buffer | undefined): ImageMetadata {
  try {
    const value: unknown = JSON.parse(
      (description ?? Buffer.alloc(0)).toString('latin1').replace(/\0+$/, ''),
    );
    // What could not be written as a PNG is not ours.
    const texts = Object.entries(value as object).filter(
      ([keyword, text]) => typeof text === 'string' && isPngKeyword(keyword),
    );
    return Object.fromEntries(texts);
  } catch {
    return {}; // no description, or one that is not ours
  }
}

/** A comment's text by the eight characters before it. */
function textOf(comment: Buffer | undefined, isLittle: boolean): string | undefined {
  if (!comment || comment.length <= 8) return undefined;
  const text = comment.subarray(8);
  const code = comment.toString('latin1', 0, 8);
  if (code === UNICODE) {
    const even = Buffer.from(text.subarray(0, text.length - (text.length % 2)));
    // Programs differ: most write the higher byte first, some as the block itself. Settings begin with ASCII, mostly.
    const zeros = (at: number) => even.filter((byte, i) => i < 512 && i % 2 === at && byte === 0).length;
    const [first, second] = [zeros(0), zeros(1)];
    const swapped = first === second ? !isLittle : first > second;
    return (swapped ? even.swap16() : even).toString('utf16le');
  }
  if (code !== 'ASCII\0\0\0' && code !== '\0'.repeat(8)) return undefined;
  return text.toString('utf8').replace(/\0+$/, '');
}

/** Directories of a TIFF structure. Throws RangeError where the block is cut short. */
class TiffReader {
  readonly isLittle: boolean;

  constructor(private readonly tiff: Buffer) {
    this.isLittle = tiff.toString('latin1', 0, 2) === 'II';
  }

  u32(at: number): number {
    return this.isLittle ? this.tiff.readUInt32LE(at) : this.tiff.readUInt32BE(at);
  }

  u32In(value: Buffer): number {
    return this.isLittle ? value.readUInt32LE() : value.readUInt32BE();
  }

  #u16(at: number): number {
    return this.isLittle ? this.tiff.readUInt16LE(at) : this.tiff.readUInt16BE(at);
  }

  /** The bytes of each entry that is a text, bytes or a number, by tag. */
  entries(start: number): Map<number, Buffer> {
    const found = new Map<number, Buffer>();
    for (let i = 0; i < Math.min(MOST_ENTRIES, this.#u16(start)); i++) {
      const entry = start + 2 + 12 * i;
      const type = this.#u16(entry + 2);
      if (![BYTE, ASCII, LONG, UNDEFINED].includes(type)) continue;
      const length = this.u32(entry + 4) * (type === LONG ? 4 : 1);
      const at = length > 4 ? this.u32(entry + 8) : entry + 8;
      found.set(this.#u16(entry), this.tiff.subarray(at, at + length));
    }
    return found;
  }
}

import { promisify } from 'node:util';
import { crc32, inflate } from 'node:zlib';
import { inSlices, type Sliced } from '../slices.js';
import { type ImageMetadata, isPngKeyword } from './metadata.js';
import { join, type Range, without } from './ranges.js';

// PNG specification, third edition: sections 5.3 (chunks), 11.3.3 (texts), 11.3.2.3 (colour profiles).

const SIGNATURE = 8;
const SIGNATURE_AND_HEADER = SIGNATURE + 25;
const LATIN1 = 'latin1' as const;

/** An IDAT of 1 kB is a small one, and files are limited too. */
const MOST_CHUNKS = 2 ** 18;
const MOST_TEXTS = 256;
/** Bytes of all texts of a file, and of its colour profile, after they are unpacked. */
const MOST_UNPACKED = 2 ** 22;

/**
 * Chunks besides the critical ones that change how a picture looks. All else is kept from the decoder: it would unpack
 * texts of any size.
 */
const KEPT = ['tRNS', 'gAMA', 'cHRM', 'sRGB', 'cICP', 'sBIT', 'pHYs', 'eXIf', 'iCCP'];
/** Bytes of them together. */
const MOST_KEPT = 2 ** 20;

interface Text {
  keyword: string;
  bytes: Buffer;
  encoding: 'latin1' | 'utf8';
  isPacked: boolean;
}

/** Where the parts of a PNG are. */
interface Parts {
  dropped: Range[];
  /** Bytes of {@link KEPT} so far. */
  kept: number;
  texts: Text[];
  profile: { range: Range; packed: Buffer } | undefined;
}

/**
 * Takes what is no part of the picture out of a PNG, without decoding it, and reads its texts. What is cut short or
 * damaged is left for the decoder to report; texts that are damaged or too large are left out.
 *
 * @throws Error when there are too many chunks.
 */
export async function readPng(
  file: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<{ png: Buffer; texts: ImageMetadata }> {
  const png = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const { dropped, texts, profile } = await inSlices(walk(png), signal);
  const budget = { bytes: MOST_UNPACKED };
  if (profile && !(await unpack(profile.packed, budget))) dropped.push(profile.range);
  const entries: [string, string][] = [];
  for (const { keyword, bytes, encoding, isPacked } of texts) {
    const text = isPacked ? await unpack(bytes, budget) : spend(bytes, budget);
    if (text) entries.push([keyword, text.toString(encoding)]);
  }
  return { png: await inSlices(without(png, dropped), signal), texts: Object.fromEntries(entries) };
}

function* walk(png: Buffer): Sliced<Parts> {
  const parts: Parts = { dropped: [], kept: 0, texts: [], profile: undefined };
  let start = SIGNATURE;
  for (let count = 0; start + 12 <= png.length; count++) {
    const end = start + 12 + png.readUInt32BE(start);
    if (end > png.length) break;
    if (count > MOST_CHUNKS) throw new Error(`it has more than ${MOST_CHUNKS} chunks`);
    sort(parts, [start, end], png);
    if (png.toString(LATIN1, start + 4, start + 8) === 'IEND') {
      if (end < png.length) parts.dropped.push([end, png.length]);
      break;
    }
    start = end;
    if (count % 64 === 0) yield;
  }
  return parts;
}

function sort(parts: Parts, [start, end]: Range, png: Buffer): void {
  const type = png.toString(LATIN1, start + 4, start + 8);
  // Critical ones begin with a capital.
  const isCritical = /^[A-Z]/.test(type);
  const isKept = isCritical || (KEPT.includes(type) && parts.kept + end - start <= MOST_KEPT);
  if (!isKept) parts.dropped.push([start, end]);
  else if (!isCritical) parts.kept += end - start;
  const data = png.subarray(start + 8, end - 4);
  const name = data.subarray(0, 80).indexOf(0);
  if (name < 0) return;
  const rest = data.subarray(name + 1);
  if (type === 'iCCP' && isKept) parts.profile ??= { range: [start, end], packed: rest.subarray(1) };
  const keyword = data.toString(LATIN1, 0, name);
  const text = isPngKeyword(keyword) && parts.texts.length < MOST_TEXTS ? textOf(type, rest) : undefined;
  if (text) parts.texts.push({ keyword, ...text });
}

/** What stands behind the keyword of a text chunk. */
function textOf(type: string, rest: Buffer): Omit<Text, 'keyword'> | undefined {
  if (type === 'tEXt') return { bytes: rest, encoding: LATIN1, isPacked: false };
  if (type === 'zTXt') return { bytes: rest.subarray(1), encoding: LATIN1, isPacked: true };
  if (type !== 'iTXt') return undefined;
  // Compression flag and method, language, translated keyword.
  const language = rest.indexOf(0, 2);
  const translated = language < 0 ? -1 : rest.indexOf(0, language + 1);
  if (translated < 0) return undefined;
  return { bytes: rest.subarray(translated + 1), encoding: 'utf8', isPacked: rest[0] === 1 };
}

type Budget = { bytes: number };

function spend(bytes: Buffer, budget: Budget): Buffer | undefined {
  if (bytes.length > budget.bytes) return undefined;
  budget.bytes -= bytes.length;
  return bytes;
}

const inflateLater = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);

/** Undefined when it is damaged, or larger than what is left of the budget; then nothing is left. */
async function unpack(bytes: Buffer, budget: Budget): Promise<Buffer | undefined> {
  if (budget.bytes < 1) return undefined;
  try {
    return spend(await inflateLater(bytes, { maxOutputLength: budget.bytes }), budget);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') budget.bytes = 0;
    return undefined;
  }
}

/**
 * Puts one text chunk per entry behind the header of an encoded PNG: tEXt (Latin-1) where the text allows it, since
 * every reader knows it, else iTXt (UTF-8). sharp has no way to write either. Neither can hold the character 0, which
 * becomes U+FFFD, as half a surrogate pair does.
 */
export function* addPngText(png: Buffer, metadata: ImageMetadata): Sliced<Buffer> {
  const chunks = Object.entries(metadata).map(([keyword, text]) => {
    const name = Buffer.from(keyword, LATIN1);
    if (isLatin1(text)) return pngChunk('tEXt', name, Buffer.from(`\0${text}`, LATIN1));
    // Behind the keyword: not compressed (2 bytes), no language, no translated keyword.
    return pngChunk('iTXt', name, Buffer.from(`\0\0\0\0\0${text.replaceAll('\0', '\ufffd')}`, 'utf8'));
  });
  const head = png.subarray(0, SIGNATURE_AND_HEADER);
  return yield* join([head, ...chunks, png.subarray(SIGNATURE_AND_HEADER)]);
}

function isLatin1(text: string): boolean {
  return !/[^\n\x20-\x7e\xa0-\xff]/.test(text);
}

function pngChunk(type: string, ...data: readonly Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from(type, LATIN1), ...data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length - 4);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

import { DeepCacheError } from '../errors.js';
import { LIMITS, readSmallFile } from '../files/read.js';
import { shorten } from '../messages.js';
import { inSlices, type Sliced } from '../slices.js';
import { imageError } from './errors.js';
import { formatOf, MAGIC_BYTES } from './formats.js';

/** Bytes of a picture's file, and what it is called in errors. */
export interface PictureFile {
  name: string;
  bytes: Uint8Array;
}

/** Characters of base64 for so many bytes. */
const base64Length = (bytes: number) => 4 * Math.ceil(bytes / 3);

const DATA_URL = /^\s*data:([^,;]{0,100})((?:;[^,;]{0,100}){0,10}),/i;
const WEB_ADDRESS = /^[a-z][a-z0-9+.-]{1,20}:\/\//i;
/** Of what is taken for base64; no path is as long, and begins as a picture does. */
const LEAST_BASE64 = 64;

/**
 * The file that a text stands for: a path, a `data:` URL, or a file's bytes in base64, as browsers send them.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE, which repeats no more than the beginning of the text.
 */
export async function readPictureFile(source: string, signal?: AbortSignal): Promise<PictureFile> {
  const inside = await pictureInText(source, signal);
  if (inside) return inside;
  const name = shorten(source);
  if (name.trim() === '') throw imageError('the image is an empty text, not a path');
  if (WEB_ADDRESS.test(source)) {
    throw imageError(`${name} is a URL; fetch it yourself and pass its bytes`);
  }
  const fail = (_: string, message: string, options?: ErrorOptions) =>
    new DeepCacheError('ERR_DEEPCACHE_IMAGE', `${name} ${message}`, options);
  return { name, bytes: await readSmallFile(source, LIMITS.picture, { signal, fail }) };
}

/**
 * The file that is in a text itself, as a `data:` URL or in base64; undefined for any other text. Looks at no files.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE for a `data:` URL of another kind, and a text that is too long.
 */
export async function pictureInText(source: string, signal?: AbortSignal): Promise<PictureFile | undefined> {
  const url = DATA_URL.exec(source.slice(0, 2000));
  if (url) return fromDataUrl(source, url, signal);
  if (isBase64(source)) return { name: 'the image', bytes: await decodeBase64(source, 0, signal) };
  return undefined;
}

async function fromDataUrl(
  source: string,
  [head, type = '', parameters = '']: RegExpExecArray,
  signal: AbortSignal | undefined,
): Promise<PictureFile> {
  const name = `the data: URL${type && ` of type ${type}`}`;
  if (/;base64$/i.test(parameters)) {
    return { name, bytes: await decodeBase64(source, head.length, signal) };
  }
  throw imageError(`${name} is not in base64`);
}

function isBase64(text: string): boolean {
  if (text.length < LEAST_BASE64 || !/^[\w+/-]+$/.test(text.slice(0, LEAST_BASE64))) return false;
  return formatOf(Buffer.from(text.slice(0, base64Length(MAGIC_BYTES)), 'base64')) !== undefined;
}

async function decodeBase64(text: string, start: number, signal: AbortSignal | undefined): Promise<Buffer> {
  if (text.length - start > base64Length(LIMITS.picture)) {
    throw imageError(
      `the image has ${text.length} characters of base64; at most ${base64Length(LIMITS.picture)} are read`,
    );
  }
  return inSlices(base64Slices(text, start), signal);
}

/** Characters of a part: a multiple of four, which stand for three bytes. */
const BASE64_PART = 2 ** 16;

function* base64Slices(text: string, start: number): Sliced<Buffer> {
  const out = Buffer.allocUnsafe(Math.ceil(((text.length - start) * 3) / 4));
  let length = 0;
  let rest = '';
  for (let i = start; i < text.length; i += BASE64_PART) {
    // Mail and some tools break it into lines.
    const part = rest + text.slice(i, i + BASE64_PART).replace(/\s+/g, '');
    const whole = part.length - (part.length % 4);
    length += out.write(part.slice(0, whole), length, 'base64');
    rest = part.slice(whole);
    yield;
  }
  length += out.write(rest, length, 'base64');
  return out.subarray(0, length);
}

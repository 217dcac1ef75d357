import { inSlices, type Sliced } from '../slices.js';
import { type Range, without } from './ranges.js';

// ITU-T T.81, B.1.1 (markers and segments); the application segments are those of JFIF, EXIF, ICC.1 and Adobe.

const LATIN1 = 'latin1' as const;
const START = 2;
const COMMENT = 0xfe;
const SCAN = 0xda;

/** Far more than any file has. */
const MOST_SEGMENTS = 2 ** 16;
/** Bytes of all segments of a colour profile; that of a printing process has 2 MB. */
const MOST_PROFILE = 2 ** 22;

/**
 * Takes out of a JPEG what does not change how it looks, without decoding it. The decoder would copy it several times,
 * and a file may consist of it. What is damaged is left for the decoder to report.
 *
 * @throws Error when there are too many segments.
 */
export async function bareJpeg(file: Uint8Array, signal: AbortSignal | undefined): Promise<Buffer> {
  const jpeg = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  return inSlices(without(jpeg, await inSlices(extras(jpeg), signal)), signal);
}

function* extras(jpeg: Buffer): Sliced<Range[]> {
  const dropped: Range[] = [];
  const seen: Seen = { markers: new Set(), profile: 0 };
  let start = START;
  for (let count = 0; start + 4 <= jpeg.length && jpeg[start] === 0xff; count++) {
    if (count > MOST_SEGMENTS) throw new Error(`it has more than ${MOST_SEGMENTS} segments`);
    if (count % 64 === 0) yield;
    const marker = jpeg[start + 1] as number;
    if (marker === SCAN) break;
    // Any number of them may stand before a marker.
    const isFiller = marker === 0xff;
    const end = isFiller ? start + 1 : start + 2 + jpeg.readUInt16BE(start + 2);
    if (end > jpeg.length) break;
    const isExtra = marker === COMMENT || (marker >= 0xe0 && marker <= 0xef);
    if (isFiller || (isExtra && !isNeeded(marker, jpeg.subarray(start + 4, end), seen))) {
      dropped.push([start, end]);
    }
    start = end;
  }
  return dropped;
}

/** Application segments that a decoder needs once: density, what was stored by us and turns it upright, YCCK or not. */
const NEEDED: Readonly<Record<number, string>> = { 224: 'JFIF\0', 225: 'Exif\0', 238: 'Adobe' };

interface Seen {
  markers: Set<number>;
  /** Bytes of the colour profile. */
  profile: number;
}

function isNeeded(marker: number, data: Buffer, seen: Seen): boolean {
  const starts = (text: string) => data.toString(LATIN1, 0, text.length) === text;
  if (marker === 0xe2 && starts('ICC_PROFILE\0')) {
    seen.profile += data.length;
    return seen.profile <= MOST_PROFILE;
  }
  const start = NEEDED[marker];
  if (start === undefined || !starts(start) || seen.markers.has(marker)) return false;
  seen.markers.add(marker);
  return true;
}

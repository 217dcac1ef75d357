import type { Sharp, SharpOptions } from 'sharp';
import { untilAborted } from '../aborting.js';
import { messageOf } from '../errors.js';
import { fromExif } from './exif.js';
import { formatOf } from './formats.js';
import { bareJpeg } from './jpeg.js';
import type { ImageMetadata } from './metadata.js';
import { readPng } from './png.js';
import { loadSharp } from './sharp.js';

/** As many as 8192x8192 has. */
export const MOST_PIXELS = 2 ** 26;
/** As many as a JPEG can have. */
export const MOST_SIDE = 2 ** 16 - 1;

/** An AVIF of one byte a pixel: the decoder copies what is stored with a picture before it looks at how much it is. */
const MOST_AVIF = MOST_PIXELS;

/** Seconds of the decoder for one picture; the largest ones take about two. */
const MOST_SECONDS = 60;

export interface DecodeLimits {
  /** Width times height; 67,108,864 by default, which is 8192 x 8192. */
  maxPixels?: number | undefined;
  /** The pixels as the file has them: not turned upright, and not converted by a colour profile. Default false. */
  asStored?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** RGB, 8 bits each, row by row. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array;
}

/** A picture's file whose header was read: nothing of it is unpacked yet. */
export interface EncodedPicture {
  /** Upright. */
  readonly width: number;
  readonly height: number;
  readonly metadata: ImageMetadata;
  /** Throws what is wrong with the rest of the file. */
  decode(signal?: AbortSignal): Promise<Pixels>;
}

/**
 * Looks at a picture's header.
 *
 * @throws Error for what is not a picture of the formats that are read, or too large.
 */
export async function examine(
  bytes: Uint8Array,
  { maxPixels = MOST_PIXELS, asStored = false, signal }: DecodeLimits,
): Promise<EncodedPicture> {
  const format = formatOf(bytes);
  if (!format) throw new Error('it is not a PNG, JPEG, WebP, GIF, TIFF or AVIF');
  if (format === 'avif' && bytes.length > MOST_AVIF) {
    throw new Error(`it has ${bytes.length} bytes; of an AVIF at most ${MOST_AVIF} are read`);
  }
  const own = format === 'png' ? await readPng(bytes, signal) : undefined;
  const file = own?.png ?? (format === 'jpeg' ? await bareJpeg(bytes, signal) : bytes);
  const options: SharpOptions = {
    limitInputPixels: maxPixels,
    unlimited: false,
    failOn: 'warning',
    sequentialRead: true,
    ignoreIcc: asStored,
  };
  const sharp = await loadSharp();
  const open = (): Sharp => sharp(file, options).timeout({ seconds: MOST_SECONDS });
  const { exif, autoOrient } = await untilAborted(header(open(), maxPixels), signal);
  const { width, height } = autoOrient;
  if (Math.max(width, height) > MOST_SIDE || width * height > maxPixels) {
    throw new Error(
      `it has ${width}x${height} pixels; at most ${MOST_SIDE} a side and ${maxPixels} in all are read`,
    );
  }
  return {
    width,
    height,
    metadata: { ...(exif && fromExif(exif)), ...own?.texts },
    async decode(stop = signal) {
      const upright = asStored ? open() : open().autoOrient();
      const pixels = upright.toColourspace('srgb').removeAlpha().raw();
      const { data, info } = await untilAborted(pixels.toBuffer({ resolveWithObject: true }), stop);
      return { width: info.width, height: info.height, data };
    },
  };
}

async function header(picture: Sharp, maxPixels: number) {
  try {
    return await picture.metadata();
  } catch (error) {
    if (!/pixel limit/.test(messageOf(error))) throw error;
    throw new Error(`it has more than ${maxPixels} pixels, which is as many as are read`, { cause: error });
  }
}

import { extname } from 'node:path';
import { invalidArgument } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-write.js';
import { shorten } from '../messages.js';
import { inSlices } from '../slices.js';
import { intoJpeg, intoWebp } from './embed-exif.js';
import { imageError } from './errors.js';
import { toExif } from './exif.js';
import { type FloatRange, floatsToPixels, pixelsToFloats } from './floats.js';
import { type ImageMetadata, isPngKeyword } from './metadata.js';
import { type OpenOptions, openPicture } from './picture.js';
import { addPngText } from './png.js';
import { loadSharp } from './sharp.js';

export type { FloatRange } from './floats.js';
export type { ImageMetadata } from './metadata.js';
export type { OpenOptions } from './picture.js';

/** Formats that pictures are written in. */
export type ImageFormat = 'png' | 'jpeg' | 'webp';

/** What an {@link Image} is made of. */
export interface ImageOptions {
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** RGB, 8 bits each, row by row: [height, width, 3]. */
  data: Uint8Array;
  /** Texts for its file. */
  metadata?: ImageMetadata;
}

/** How a picture is encoded. */
export interface EncodeOptions {
  /** 1 to 100, for JPEG and WebP. Default 92. */
  quality?: number;
  /** Whether the metadata goes into the file. Default true. */
  metadata?: boolean;
}

/** How a picture is saved. */
export interface SaveOptions extends EncodeOptions {
  /** Default: what the file name ends in. */
  format?: ImageFormat;
}

const FORMATS: Readonly<Record<string, ImageFormat>> = {
  '.png': 'png',
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.webp': 'webp',
};

/** An RGB image of 8 bits per channel. */
export class Image {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** Red, green and blue. */
  readonly channels = 3;
  /** [height, width, 3] */
  readonly data: Uint8Array;
  /**
   * Texts that are stored in the file: text chunks of a PNG; in JPEG and WebP `parameters` in EXIF's UserComment, others in
   * its ImageDescription.
   */
  metadata: ImageMetadata;

  constructor({ width, height, data, metadata = {} }: ImageOptions) {
    checkSize(width, height);
    if (data.length !== width * height * 3) {
      throw invalidArgument(
        'data',
        `has ${data.length} bytes, ${width}x${height} RGB needs ${width * height * 3}`,
      );
    }
    this.width = width;
    this.height = height;
    this.data = data;
    this.metadata = metadata;
  }

  /**
   * One image from floats [3, height, width], rounded as diffusers does (half to even, clamped).
   *
   * @param range what the values mean, 'unit' by default.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a number of values that does not fit the size.
   */
  static async fromFloat(
    values: Float32Array,
    width: number,
    height: number,
    range: FloatRange = 'unit',
  ): Promise<Image> {
    checkSize(width, height);
    const pixels = width * height;
    if (values.length !== pixels * 3) {
      throw invalidArgument(
        'values',
        `has ${values.length} numbers, 3x${height}x${width} needs ${pixels * 3}`,
      );
    }
    return new Image({ width, height, data: await inSlices(floatsToPixels(values, range)) });
  }

  /** The images of a batch of floats [n, 3, height, width]. */
  static async fromFloatBatch(
    values: Float32Array,
    width: number,
    height: number,
    range: FloatRange = 'unit',
  ): Promise<Image[]> {
    checkSize(width, height);
    const size = width * height * 3;
    if (values.length % size !== 0) {
      throw invalidArgument('values', `has ${values.length} numbers, not a multiple of 3x${height}x${width}`);
    }
    const images: Image[] = [];
    for (let i = 0; i < values.length; i += size) {
      images.push(await Image.fromFloat(values.subarray(i, i + size), width, height, range));
    }
    return images;
  }

  /**
   * Reads a PNG, JPEG, WebP, GIF (its first picture), TIFF or AVIF, turned upright, without its alpha channel.
   *
   * @param source its path, its bytes, a `data:` URL, or its bytes in base64.
   * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming the file; the signal's reason.
   */
  static async open(source: string | Uint8Array, options: OpenOptions = {}): Promise<Image> {
    const picture = await openPicture(source, options);
    return new Image({ ...(await picture.decode()), metadata: picture.metadata });
  }

  /** What is short of it: the pixels are for {@link Image.toBuffer}. */
  toJSON(): { width: number; height: number; metadata: ImageMetadata } {
    const { width, height, metadata } = this;
    return { width, height, metadata };
  }

  /** What console.log shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Image ${this.width}x${this.height}`;
  }

  /** Floats [3, height, width]. */
  async toFloat(range: FloatRange = 'unit'): Promise<Float32Array> {
    return inSlices(pixelsToFloats(this.data, range));
  }

  /**
   * Encodes the image.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_IMAGE, ERR_DEEPCACHE_INVALID_ARGUMENT
   */
  async toBuffer(format: ImageFormat = 'png', options: EncodeOptions = {}): Promise<Buffer> {
    const { quality = 92 } = options;
    if (!Object.values(FORMATS).includes(format)) {
      throw invalidArgument('format', `is ${JSON.stringify(format)}, not 'png', 'jpeg' or 'webp'`);
    }
    if (!Number.isInteger(quality) || quality < 1 || quality > 100) {
      throw invalidArgument('quality', `is ${quality}, not a whole number from 1 to 100`);
    }
    const metadata = options.metadata === false ? {} : this.metadata;
    for (const keyword of Object.keys(metadata)) {
      if (!isPngKeyword(keyword)) {
        throw invalidArgument(
          'metadata',
          `has the key ${JSON.stringify(shorten(keyword))}, not 1 to 79 characters of Latin-1`,
        );
      }
    }
    try {
      return await this.#encode(format, quality, metadata);
    } catch (cause) {
      throw imageError(`the image cannot be encoded as ${format}`, cause);
    }
  }

  /**
   * Writes the image to a file; the format is what the name ends in: .png, .jpg, .jpeg or .webp.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming the file.
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    const extension = extname(path).toLowerCase();
    const format = options.format ?? FORMATS[extension];
    if (!format) {
      const ending = extension ? `ends in ${extension}` : 'has no ending';
      throw imageError(`${shorten(path)} ${ending}; images are written as .png, .jpg, .jpeg or .webp`);
    }
    const bytes = await this.toBuffer(format, options);
    try {
      await writeFileAtomic(path, bytes);
    } catch (cause) {
      throw imageError(`${shorten(path)} cannot be written`, cause);
    }
  }

  async #encode(format: ImageFormat, quality: number, metadata: ImageMetadata): Promise<Buffer> {
    const sharp = await loadSharp();
    const { width, height, channels, data } = this;
    const image = sharp(data, { raw: { width, height, channels } });
    const isEmpty = Object.keys(metadata).length === 0;
    if (format === 'png') {
      const png = await image.png().toBuffer();
      return isEmpty ? png : inSlices(addPngText(png, metadata));
    }
    const exif = isEmpty ? undefined : toExif(metadata);
    if (!isEmpty && !exif) throw new Error('the metadata is too long for EXIF; use PNG or metadata: false');
    const bytes = await image[format]({ quality }).toBuffer();
    if (!exif) return bytes;
    return inSlices(format === 'jpeg' ? intoJpeg(bytes, exif) : intoWebp(bytes, exif, this));
  }
}

function checkSize(width: number, height: number): void {
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1)
      throw invalidArgument(name, `is ${value}, not a whole number from 1`);
  }
}

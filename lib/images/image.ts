import { readFile, writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { DeepCacheError, invalidArgument, messageOf } from '../errors.js';
import { addPngText, fromExif, type ImageMetadata, isPngKeyword, toExifDescription } from './metadata.js';

export type { ImageMetadata } from './metadata.js';

export type ImageFormat = 'png' | 'jpeg' | 'webp';

/** What the floats of an image mean: black to white is 0 to 1 (pipelines) or -1 to 1 (the VAE). */
export type FloatRange = 'unit' | 'signed';

export interface ImageOptions {
  width: number;
  height: number;
  /** RGB, 8 bits each, row by row: [height, width, 3]. */
  data: Uint8Array;
  metadata?: ImageMetadata;
}

export interface EncodeOptions {
  /** 1 to 100, for JPEG and WebP. Default 92. */
  quality?: number;
  /** Whether the metadata goes into the file. Default true. */
  metadata?: boolean;
}

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
  readonly width: number;
  readonly height: number;
  readonly channels = 3;
  /** [height, width, 3] */
  readonly data: Uint8Array;
  /** Texts that are stored in the file: text chunks of a PNG, EXIF's ImageDescription in JPEG and WebP. */
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
   */
  static fromFloat(values: Float32Array, width: number, height: number, range: FloatRange = 'unit'): Image {
    checkSize(width, height);
    const pixels = width * height;
    if (values.length !== pixels * 3) {
      throw invalidArgument(
        'values',
        `has ${values.length} numbers, 3x${height}x${width} needs ${pixels * 3}`,
      );
    }
    // This array type clamps and rounds half to even by itself, and turns NaN into 0.
    const data = new Uint8ClampedArray(pixels * 3);
    for (let channel = 0; channel < 3; channel++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        const value = values[channel * pixels + pixel] as number;
        const unit = range === 'unit' ? value : Math.fround(value / 2 + 0.5);
        data[pixel * 3 + channel] = Math.fround(unit * 255);
      }
    }
    return new Image({ width, height, data: new Uint8Array(data.buffer) });
  }

  /** The images of a batch of floats [n, 3, height, width]. */
  static fromFloatBatch(
    values: Float32Array,
    width: number,
    height: number,
    range: FloatRange = 'unit',
  ): Image[] {
    checkSize(width, height);
    const size = width * height * 3;
    if (values.length % size !== 0) {
      throw invalidArgument('values', `has ${values.length} numbers, not a multiple of 3x${height}x${width}`);
    }
    return Array.from({ length: values.length / size }, (_, i) =>
      Image.fromFloat(values.subarray(i * size, (i + 1) * size), width, height, range),
    );
  }

  /**
   * Reads an image in any format sharp knows, turned upright, without its alpha channel.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_IMAGE naming the file.
   */
  static async open(source: string | Uint8Array): Promise<Image> {
    const name = typeof source === 'string' ? source : 'the image';
    try {
      const bytes = typeof source === 'string' ? await readFile(source) : source;
      const sharp = await loadSharp();
      const { exif, comments } = await sharp(bytes).metadata();
      const { data, info } = await sharp(bytes)
        .autoOrient()
        .toColourspace('srgb')
        .removeAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true });
      const texts = (comments ?? []).map(({ keyword, text }) => [keyword, text]);
      const metadata = { ...(exif ? fromExif(exif) : {}), ...Object.fromEntries(texts) };
      return new Image({ width: info.width, height: info.height, data, metadata });
    } catch (cause) {
      throw imageError(`${name} cannot be read`, cause);
    }
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
  toFloat(range: FloatRange = 'unit'): Float32Array {
    const pixels = this.width * this.height;
    const values = new Float32Array(pixels * 3);
    for (let i = 0; i < values.length; i++) {
      const unit = (this.data[i] as number) / 255;
      values[(i % 3) * pixels + Math.floor(i / 3)] = range === 'unit' ? unit : unit * 2 - 1;
    }
    return values;
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
          `has the key ${JSON.stringify(keyword)}, not 1 to 79 ASCII characters`,
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
      throw imageError(`${path} ${ending}; images are written as .png, .jpg, .jpeg or .webp`);
    }
    const bytes = await this.toBuffer(format, options);
    try {
      await writeFile(path, bytes);
    } catch (cause) {
      throw imageError(`${path} cannot be written`, cause);
    }
  }

  async #encode(format: ImageFormat, quality: number, metadata: ImageMetadata): Promise<Buffer> {
    const sharp = await loadSharp();
    const { width, height, channels, data } = this;
    const image = sharp(data, { raw: { width, height, channels } });
    const isEmpty = Object.keys(metadata).length === 0;
    if (format === 'png') {
      const png = await image.png().toBuffer();
      return isEmpty ? png : addPngText(png, metadata);
    }
    if (!isEmpty) {
      const description = toExifDescription(metadata);
      if (!description) throw new Error('the metadata is too long for EXIF; use PNG or metadata: false');
      image.withExif({ IFD0: { ImageDescription: description, Software: 'deepcache' } });
    }
    return image[format]({ quality }).toBuffer();
  }
}

/** On first use: all but images works where sharp's own binary does not load. */
async function loadSharp() {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw imageError('sharp, which reads and writes images, does not load; try `npm install sharp`', cause);
  }
}

function checkSize(width: number, height: number): void {
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1)
      throw invalidArgument(name, `is ${value}, not a whole number from 1`);
  }
}

function imageError(message: string, cause?: unknown): DeepCacheError {
  if (cause instanceof DeepCacheError) return cause;
  const why = cause === undefined ? '' : `: ${messageOf(cause)}`;
  return new DeepCacheError('ERR_DEEPCACHE_IMAGE', message + why, { cause });
}

import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { forEachIndex, inSlices, mapParts } from '../slices.js';
import type { Tensor } from '../tensor.js';
import { threeChannels, toGray } from './channels.js';
import { MOST_SIDE } from './decode.js';
import { pixelsToFloats } from './floats.js';
import { Image } from './image.js';
import { openPicture } from './picture.js';
import { resizeLanczos } from './resize.js';

/** Pixels of your own: [height, width, channels], 8 bits each; 1 (gray), 3 (RGB) or 4 (RGBA, A is dropped) channels. */
export interface RawImage {
  /** 8 bits a channel, row by row: [height, width, channels]. */
  data: Uint8Array;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** Gray, RGB or RGBA. */
  channels: 1 | 3 | 4;
}

/**
 * One picture: the path of a PNG, JPEG, WebP, GIF, TIFF or AVIF, its bytes, a `data:` URL or its bytes in base64, an
 * {@link Image} or raw pixels.
 */
export type ImageSource = string | Uint8Array | Image | RawImage;

/** One picture, several of one size, or a tensor [n, channels, h, w] with values from 0 to 1. */
export type ImageInput = ImageSource | readonly ImageSource[] | Tensor;

/** A picture whose size is known, and nothing unpacked yet. */
export interface LoadedImage {
  readonly width: number;
  readonly height: number;
  read(signal: AbortSignal | undefined): Promise<Image>;
}

/** Pictures as pipelines read them: either 8-bit ones, that may be resized, or a tensor, that is taken as it is. */
export type LoadedImages = { images: readonly LoadedImage[] } | { tensor: Tensor };

/** As many as a run makes images. */
const MOST_IMAGES = 512;

/**
 * Looks at what an image option holds. Pictures are unpacked by {@link toRgb} and {@link toMask}, so that what a run
 * needs is known before.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE for files, ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export async function loadImages(
  name: string,
  input: ImageInput,
  channels: number,
  signal?: AbortSignal,
): Promise<LoadedImages> {
  if (isTensor(input)) {
    await checkTensor(name, input, channels, signal);
    return { tensor: input };
  }
  const sources = Array.isArray(input) ? (input as readonly ImageSource[]) : [input as ImageSource];
  if (sources.length === 0) throw invalidArgument(name, 'must not be an empty list');
  if (sources.length > MOST_IMAGES) {
    throw invalidArgument(name, `has ${sources.length} pictures; at most ${MOST_IMAGES}`);
  }
  const images: LoadedImage[] = [];
  for (const source of sources) images.push(await loadImage(name, source, signal));
  const [first] = images as [LoadedImage];
  if (images.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw invalidArgument(name, 'has pictures of different sizes');
  }
  return { images };
}

/** Unpacks a single picture. */
export async function loadPicture(name: string, input: ImageSource, signal?: AbortSignal): Promise<Image> {
  if (input instanceof Image) return input;
  checkImageInput(name, input, []);
  const loaded = await loadImages(name, input, 3, signal);
  const picture = 'images' in loaded && loaded.images.length === 1 ? loaded.images[0] : undefined;
  if (!picture) throw invalidArgument(name, 'must be one picture');
  return picture.read(signal);
}

/**
 * Throws for what can be no picture, before a file is looked at.
 *
 * @param channels that a tensor may have.
 */
export function checkImageInput(name: string, input: unknown, channels: readonly number[]): void {
  if (isTensor(input)) {
    checkShape(name, input, channels);
    return;
  }
  const sources: readonly unknown[] = Array.isArray(input) ? input : [input];
  if (sources.length === 0) throw invalidArgument(name, 'must not be an empty list');
  if (sources.length > MOST_IMAGES) {
    throw invalidArgument(name, `has ${sources.length} pictures; at most ${MOST_IMAGES}`);
  }
  for (const source of sources) {
    if (typeof source !== 'string' && !isBytes(source)) checkRaw(name, source);
  }
}

/** Width and height in pixels. */
export function sizeOf(loaded: LoadedImages): { width: number; height: number } {
  if ('images' in loaded) return loaded.images[0] as LoadedImage;
  const [, , height = 0, width = 0] = loaded.tensor.shape;
  return { width, height };
}

/** How many pictures there are. */
export function countOf(loaded: LoadedImages): number {
  return 'images' in loaded ? loaded.images.length : (loaded.tensor.shape[0] as number);
}

/** Bytes that {@link toRgb} or {@link toMask} needs at most, with its result of so many channels. */
export function bytesOf(loaded: LoadedImages, width: number, height: number, channels: 1 | 3): number {
  if ('tensor' in loaded) return 0;
  const size = sizeOf(loaded);
  // Unpacked with a fourth channel, then without; gray; resized in one axis, and in both.
  const one = (4 + 3 + 3) * size.width * size.height + 3 * width * (size.height + height);
  return one + 4 * channels * loaded.images.length * width * height;
}

/**
 * The pictures at a size, as [n, 3, height, width] from 0 to 1. 8-bit pictures are resized as diffusers does; a tensor
 * of another size is an error.
 */
export async function toRgb(
  name: string,
  loaded: LoadedImages,
  width: number,
  height: number,
  signal?: AbortSignal,
  resize = resizeLanczos,
): Promise<Tensor> {
  if ('tensor' in loaded) return exactSize(name, loaded.tensor, width, height);
  const size = 3 * height * width;
  const data = new Float32Array(loaded.images.length * size);
  // One at a time, to save memory.
  for (const [i, picture] of loaded.images.entries()) {
    const image = await picture.read(signal);
    const resized = await resize(image, width, height, signal);
    await inSlices(pixelsToFloats(resized.data, 'unit', data.subarray(i * size, (i + 1) * size)), signal);
  }
  return { data, shape: [loaded.images.length, 3, height, width] };
}

/** The same for masks: [n, 1, height, width], 1 (repaint) where the picture is half white or more, else 0. */
export async function toMask(
  name: string,
  loaded: LoadedImages,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Tensor> {
  if ('tensor' in loaded) {
    const { data, shape } = exactSize(name, loaded.tensor, width, height);
    const mask = await inSlices(
      mapParts(data, (value) => (value >= 0.5 ? 1 : 0)),
      signal,
    );
    return { data: mask, shape };
  }
  const { data, shape } = await toLuma(name, loaded, width, height, signal);
  // diffusers compares value / 255 with 0.5.
  await inSlices(
    forEachIndex(data.length, (i) => {
      data[i] = (data[i] as number) >= 0.5 ? 1 : 0;
    }),
    signal,
  );
  return { data, shape };
}

/** The same in gray: [n, 1, height, width] from 0 to 1. */
export async function toLuma(
  name: string,
  loaded: LoadedImages,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Tensor> {
  if ('tensor' in loaded) return exactSize(name, loaded.tensor, width, height);
  const size = height * width;
  const data = new Float32Array(loaded.images.length * size);
  for (const [i, picture] of loaded.images.entries()) {
    const gray = await inSlices(toGray(await picture.read(signal)), signal);
    const resized = (await resizeLanczos(gray, width, height, signal)).data;
    const write = (pixel: number) => {
      data[i * size + pixel] = (resized[3 * pixel] as number) / 255;
    };
    await inSlices(forEachIndex(size, write), signal);
  }
  return { data, shape: [loaded.images.length, 1, height, width] };
}

function exactSize(name: string, tensor: Tensor, width: number, height: number): Tensor {
  const size = sizeOf({ tensor });
  if (size.width === width && size.height === height) return tensor;
  throw invalidArgument(
    name,
    `is a tensor of ${size.width}x${size.height}, the run needs ${width}x${height}`,
  );
}

async function checkTensor(
  name: string,
  { shape, data }: Tensor,
  channels: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  checkShape(name, { shape, data }, [channels]);
  await inSlices(
    forEachIndex(data.length, (i) => {
      // Written so that NaN fails.
      if (!((data[i] as number) >= 0 && (data[i] as number) <= 1)) {
        throw invalidArgument(name, 'must hold values from 0 to 1');
      }
    }),
    signal,
  );
}

function checkShape(name: string, { shape, data }: Tensor, channels: readonly number[]): void {
  const fits = shape.length === 4 && channels.includes(shape[1] as number) && shape.every((e) => e >= 1);
  if (!fits) {
    throw invalidArgument(
      name,
      `must have shape [n, ${channels.join(' or ')}, h, w], got [${shape.join(', ')}]`,
    );
  }
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (data.length !== count) {
    throw invalidArgument(name, `has ${data.length} values, its shape needs ${count}`);
  }
}

async function loadImage(
  name: string,
  source: unknown,
  signal: AbortSignal | undefined,
): Promise<LoadedImage> {
  if (typeof source === 'string' || isBytes(source)) {
    const { width, height, metadata, decode } = await openPicture(source, { signal });
    return { width, height, read: async (stop) => new Image({ ...(await decode(stop)), metadata }) };
  }
  const { data, width, height, channels } = checkRaw(name, source);
  if (source instanceof Image) return { width, height, read: async () => source };
  const read = async (stop: AbortSignal | undefined) =>
    new Image({ width, height, data: await inSlices(threeChannels(data, channels), stop) });
  return { width, height, read };
}

/** Pixels that are given as such. */
function checkRaw(name: string, source: unknown): RawImage {
  const { data, width, height, channels } = (source ?? {}) as RawImage;
  if (!isBytes(data) || ![1, 3, 4].includes(channels)) {
    throw invalidArgument(
      name,
      'must be a path, the bytes of a file, an Image, { data, width, height, channels } or a tensor',
    );
  }
  const isSide = (value: unknown) => Number.isInteger(value) && (value as number) >= 1;
  if (!isSide(width) || !isSide(height)) {
    throw invalidArgument(
      name,
      `must have a width and a height from 1, got ${show(width)} and ${show(height)}`,
    );
  }
  if (Math.max(width, height) > MOST_SIDE) {
    throw invalidArgument(name, `has ${width}x${height} pixels; at most ${MOST_SIDE} a side`);
  }
  if (!(source instanceof Image) && data.length !== width * height * channels) {
    throw invalidArgument(
      name,
      `has ${data.length} bytes, ${width}x${height}x${channels} needs ${width * height * channels}`,
    );
  }
  return source as RawImage;
}

// Not instanceof: arrays may come from another realm (vm contexts, worker messages).
function isBytes(value: unknown): value is Uint8Array {
  return Object.prototype.toString.call(value) === '[object Uint8Array]';
}

/** Whether a text names a file; it may also be the picture itself. */
export function isImagePath(source: unknown): source is string {
  return typeof source === 'string' && !/^\s*data:/i.test(source) && source.length < 1000;
}

function isTensor(value: unknown): value is Tensor {
  const { data, shape } = (value ?? {}) as Tensor;
  return Object.prototype.toString.call(data) === '[object Float32Array]' && Array.isArray(shape);
}

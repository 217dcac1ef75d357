import { invalidArgument } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { Image } from './image.js';
import { lanczosSlices } from './resize.js';
import { inSlices, type Sliced } from './slices.js';

/** Pixels of your own: [height, width, channels], 8 bits each; 1 (gray), 3 (RGB) or 4 (RGBA, A is dropped) channels. */
export interface RawImage {
  data: Uint8Array;
  width: number;
  height: number;
  channels: 1 | 3 | 4;
}

/**
 * One picture: the path or the bytes of a file in any format sharp reads, an {@link Image} or raw pixels.
 */
export type ImageSource = string | Uint8Array | Image | RawImage;

/** One picture, several of one size, or a tensor [n, channels, h, w] with values from 0 to 1. */
export type ImageInput = ImageSource | readonly ImageSource[] | Tensor;

/** Pictures as pipelines read them: either 8-bit ones, that may be resized, or a tensor, that is taken as it is. */
export type LoadedImages = { images: Image[] } | { tensor: Tensor };

/**
 * Loads an image option.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_IMAGE for files, ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
 */
export async function loadImages(name: string, input: ImageInput, channels: number): Promise<LoadedImages> {
  if (isTensor(input)) {
    const { shape, data } = input;
    if (shape.length !== 4 || shape[1] !== channels || shape.some((extent) => extent < 1)) {
      throw invalidArgument(name, `must have shape [n, ${channels}, h, w], got [${shape.join(', ')}]`);
    }
    const count = shape.reduce((product, extent) => product * extent, 1);
    if (data.length !== count)
      throw invalidArgument(name, `has ${data.length} values, its shape needs ${count}`);
    // Written so that NaN fails.
    if (!data.every((value) => value >= 0 && value <= 1))
      throw invalidArgument(name, 'must hold values from 0 to 1');
    return { tensor: input };
  }
  const sources = Array.isArray(input) ? (input as readonly ImageSource[]) : [input as ImageSource];
  if (sources.length === 0) throw invalidArgument(name, 'must not be an empty list');
  const images = await Promise.all(sources.map((source) => loadImage(name, source)));
  const [first] = images as [Image];
  if (images.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw invalidArgument(name, 'has pictures of different sizes');
  }
  return { images };
}

/** Width and height in pixels. */
export function sizeOf(loaded: LoadedImages): { width: number; height: number } {
  if ('images' in loaded) return loaded.images[0] as Image;
  const [, , height = 0, width = 0] = loaded.tensor.shape;
  return { width, height };
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
): Promise<Tensor> {
  if ('tensor' in loaded) return exactSize(name, loaded.tensor, width, height);
  const floats: Float32Array[] = [];
  for (const image of loaded.images) {
    floats.push((await inSlices(lanczosSlices(image, width, height))).toFloat());
  }
  return stack(floats, [3, height, width]);
}

/** The same for masks: [n, 1, height, width], 1 (repaint) where the picture is half white or more, else 0. */
export async function toMask(
  name: string,
  loaded: LoadedImages,
  width: number,
  height: number,
): Promise<Tensor> {
  if ('tensor' in loaded) {
    const { data, shape } = exactSize(name, loaded.tensor, width, height);
    return { data: data.map((value) => (value >= 0.5 ? 1 : 0)), shape };
  }
  const masks: Float32Array[] = [];
  for (const image of loaded.images) {
    const { data } = await inSlices(lanczosSlices(await inSlices(toGray(image)), width, height));
    const mask = new Float32Array(width * height);
    // diffusers compares value / 255 with 0.5.
    for (let i = 0; i < mask.length; i++) mask[i] = (data[3 * i] as number) / 255 >= 0.5 ? 1 : 0;
    masks.push(mask);
  }
  return stack(masks, [1, height, width]);
}

function exactSize(name: string, tensor: Tensor, width: number, height: number): Tensor {
  const size = sizeOf({ tensor });
  if (size.width === width && size.height === height) return tensor;
  throw invalidArgument(
    name,
    `is a tensor of ${size.width}x${size.height}, the run needs ${width}x${height}`,
  );
}

function stack(blocks: readonly Float32Array[], shape: readonly number[]): Tensor {
  const count = blocks[0]?.length ?? 0;
  const data = new Float32Array(blocks.length * count);
  for (const [i, block] of blocks.entries()) data.set(block, i * count);
  return { data, shape: [blocks.length, ...shape] };
}

/** Luma in all three channels, rounded as Pillow's convert('L') does. */
function* toGray({ width, height, data }: Image): Sliced<Image> {
  const gray = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [data[i] as number, data[i + 1] as number, data[i + 2] as number];
    const luma = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    gray[i] = luma;
    gray[i + 1] = luma;
    gray[i + 2] = luma;
    if (i % (3 * width) === 0) yield;
  }
  return new Image({ width, height, data: gray });
}

async function loadImage(name: string, source: unknown): Promise<Image> {
  if (typeof source === 'string' || isBytes(source)) return Image.open(source);
  if (source instanceof Image) return source;
  const { data, width, height, channels } = (source ?? {}) as RawImage;
  if (!isBytes(data) || ![1, 3, 4].includes(channels)) {
    throw invalidArgument(
      name,
      'must be a path, the bytes of a file, an Image, { data, width, height, channels } or a tensor',
    );
  }
  if (data.length !== width * height * channels) {
    throw invalidArgument(
      name,
      `has ${data.length} bytes, ${width}x${height}x${channels} needs ${width * height * channels}`,
    );
  }
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < rgb.length; i++) {
    const pixel = Math.floor(i / 3) * channels;
    rgb[i] = data[channels === 1 ? pixel : pixel + (i % 3)] as number;
  }
  return new Image({ width, height, data: rgb });
}

// Not instanceof: arrays may come from another realm (vm contexts, worker messages).
function isBytes(value: unknown): value is Uint8Array {
  return Object.prototype.toString.call(value) === '[object Uint8Array]';
}

function isTensor(value: unknown): value is Tensor {
  const { data, shape } = (value ?? {}) as Tensor;
  return Object.prototype.toString.call(data) === '[object Float32Array]' && Array.isArray(shape);
}

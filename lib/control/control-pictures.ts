import { invalidArgument } from '../errors.js';
import { countOf, type ImageInput, type LoadedImages, loadImages, sizeOf, toRgb } from '../images/input.js';
import type { MaskedArea } from '../inpaint/masked-area.js';
import { concat } from '../tensor.js';
import { fitTo, type ResizeMode } from './preprocess/fit.js';
import { type Preprocessor, preprocess } from './preprocess/preprocess.js';

/** How a picture is made ready. */
export interface PictureOptions {
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  readonly preprocess: Preprocessor | 'none';
  readonly resize: ResizeMode;
  /** Channels in the order blue, green, red; red comes first by default. */
  readonly isBgr?: boolean;
  /** The part of the picture that the run shows, where that is not all of it. */
  readonly area?: MaskedArea | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The size of the first of an option's pictures, cut down to a multiple; undefined where there are none. */
export async function sizeOfFirst(
  name: string,
  pictures: ImageInput | readonly ImageInput[] | undefined,
  multiple: number,
  { channels = 3, signal }: { channels?: number | undefined; signal?: AbortSignal | undefined },
): Promise<{ width: number; height: number } | undefined> {
  if (pictures === undefined) return undefined;
  let first: unknown = pictures;
  while (Array.isArray(first)) first = first[0];
  const { width, height } = sizeOf(await loadImages(name, first as ImageInput, channels, signal));
  if (width < multiple || height < multiple) {
    throw invalidArgument(name, `is ${width}x${height}; the smallest picture is ${multiple}x${multiple}`);
  }
  return { width: width - (width % multiple), height: height - (height % multiple) };
}

/**
 * What an option has for each of several; for one it stands alone.
 *
 * @param what a list of them holds, for the message.
 */
export function imagesOf(
  name: string,
  given: ImageInput | readonly ImageInput[],
  count: number,
  what: string,
): readonly ImageInput[] {
  if (count < 2) return [given as ImageInput];
  if (Array.isArray(given) && given.length === count) return given;
  throw invalidArgument(name, `must be a list of ${count}, ${what}`);
}

/** Throws unless there is one picture for all images, or one for each prompt; how many there are. */
export function requirePerPrompt(name: string, loaded: LoadedImages, batch: number): number {
  const count = countOf(loaded);
  if (batch % count === 0) return count;
  throw invalidArgument(name, `has ${count} pictures for ${batch} images; give one, or one for each prompt`);
}

/** One picture for all images, or one for each prompt: then one for each image. */
export async function pixelsOf(input: ImageInput, options: PictureOptions): Promise<Float32Array> {
  const { width, height, batch, isBgr = false, signal } = options;
  const loaded = preparedBy(options, await loadImages('controlImage', input, 3, signal));
  const count = requirePerPrompt('controlImage', loaded, batch);
  const { data: rgb } = await toRgb('controlImage', loaded, width, height, signal);
  const data = isBgr ? turned(rgb, width * height) : rgb;
  if (count === 1 || count === batch) return data;
  const each = data.length / count;
  return spread(
    Array.from({ length: count }, (_, i) => data.subarray(i * each, (i + 1) * each)),
    batch,
  );
}

/** Pixels [n, 3, area] with their channels the other way round; those that were given stay as they are. */
function turned(data: Float32Array, area: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let plane = 0; plane * area < data.length; plane++) {
    const from = plane + 2 - 2 * (plane % 3);
    out.set(data.subarray(from * area, (from + 1) * area), plane * area);
  }
  return out;
}

/** Pictures that are made ready when they are read, at the size of the run: lines stay as thin as they are drawn. */
function preparedBy(
  { width, height, preprocess: kind, resize, area }: PictureOptions,
  loaded: LoadedImages,
): LoadedImages {
  if (kind === 'none' && resize === 'stretch' && !area) return loaded;
  if (!('images' in loaded)) {
    const others = kind === 'none' ? 'controlResize' : 'controlPreprocess';
    const name = area ? 'paddingMaskCrop' : others;
    throw invalidArgument(name, 'is for pictures; controlImage is a tensor, which is taken as it is');
  }
  const images = loaded.images.map((picture) => ({
    width,
    height,
    async read(signal: AbortSignal | undefined) {
      const whole = await picture.read(signal);
      const fitted = area
        ? await area.cut(await fitTo(whole, area.width, area.height, resize, signal), signal)
        : await fitTo(whole, width, height, resize, signal);
      return kind === 'none' ? fitted : preprocess(fitted, kind, signal ? { signal } : {});
    },
  }));
  return { images };
}

/** For each image what belongs to its prompt, of one for each prompt. */
export function spread(parts: readonly Float32Array[], batch: number): Float32Array {
  return concat(
    Array.from({ length: batch }, (_, i) => parts[Math.floor((i * parts.length) / batch)] as Float32Array),
  );
}

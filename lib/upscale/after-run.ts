import { invalidArgument } from '../errors.js';
import { pixelsToFloats } from '../images/floats.js';
import type { Image } from '../images/image.js';
import { resizeLanczos } from '../images/resize.js';
import type { NativeBackend } from '../native/types.js';
import { type GenerateResult, type OutputKind, resultOf } from '../pipelines/outputs/result.js';
import { settingsLine } from '../pipelines/outputs/settings.js';
import { inSlices } from '../slices.js';
import { FloatTensor, newFloats } from '../tensor.js';
import { upscaleFields } from './fields.js';
import { openUpscaler } from './open.js';
import { MOST_UPSCALED, type Upscale, type UpscaleGiven, upscaleOf } from './option.js';
import type { Upscaler } from './upscaler.js';

interface Given {
  readonly upscale?: UpscaleGiven | undefined;
  readonly output?: OutputKind | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A run whose pictures are enlarged where options ask for it: the same pictures as those of the run alone, through
 * {@link Upscaler.upscale}, and brought to the size. The network is looked at before the run.
 */
export async function runUpscaled<T extends Given>(
  backend: Pick<NativeBackend, 'device'>,
  given: T,
  work: (given: T) => Promise<GenerateResult>,
): Promise<GenerateResult> {
  const { upscale, output, signal } = given;
  if (upscale === undefined) return work(given);
  const options = upscaleOf(upscale);
  using network = await openUpscaler(options.upscaler, backend, signal);
  const { upscaler } = network;
  const result = await work({ ...given, upscale: undefined, output: 'image' });

  const start = performance.now();
  const line = settingsLine(upscaleFields(options, upscaler.scale));
  const images: Image[] = [];
  for (const image of result.images) images.push(await enlarged(image, upscaler, options, signal));
  const settings = result.settings.map((text) => `${text}, ${line}`);
  for (const image of images) {
    const { parameters } = image.metadata;
    if (parameters !== undefined)
      image.metadata = { ...image.metadata, parameters: `${parameters}, ${line}` };
  }
  const { times } = result.stats;
  const seconds = (performance.now() - start) / 1000;
  const stats = {
    ...result.stats,
    times: { ...times, decode: times.decode + seconds, total: times.total + seconds },
  };
  const made = output === 'float32' ? { images: [], tensor: await floatsOf(images, signal) } : { images };
  return resultOf({ ...result, ...made, settings, stats }) as GenerateResult;
}

/** Throws for a run whose result is not pictures. */
export function checkUpscaled({ upscale, output }: Given): void {
  if (upscale !== undefined && output === 'latent')
    throw invalidArgument('upscale', "is for pictures; the run's output is 'latent'");
}

async function enlarged(
  image: Image,
  upscaler: Upscaler,
  { scale = upscaler.scale, width, height, tile, tilePad }: Upscale,
  signal: AbortSignal | undefined,
): Promise<Image> {
  const size = {
    width: width ?? Math.trunc(image.width * scale),
    height: height ?? Math.trunc(image.height * scale),
  };
  if (Math.max(size.width, size.height) > MOST_UPSCALED)
    throw invalidArgument('upscale.scale', `makes pictures of more than ${MOST_UPSCALED} pixels in an axis`);
  const large = await upscaler.upscale(image, {
    ...(tile !== undefined && { tile }),
    ...(tilePad !== undefined && { tilePad }),
    signal,
  });
  return resizeLanczos(large, size.width, size.height, signal);
}

/** [n, 3, h, w] from 0 to 1. */
async function floatsOf(images: readonly Image[], signal: AbortSignal | undefined): Promise<FloatTensor> {
  const [{ width, height }] = images as [Image];
  const size = 3 * width * height;
  const data = newFloats(images.length * size);
  for (const [i, image] of images.entries())
    await inSlices(pixelsToFloats(image.data, 'unit', data.subarray(i * size, (i + 1) * size)), signal);
  return new FloatTensor(data, [images.length, 3, height, width]);
}

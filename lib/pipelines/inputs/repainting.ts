import { invalidArgument } from '../../errors.js';
import { bytesOf, type LoadedImages, loadImages, sizeOf, toMask, toRgb } from '../../images/input.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Scheduler } from '../../schedulers/index.js';
import { inSlices } from '../../slices.js';
import { toSigned } from '../outputs/pixels.js';
import { repeated } from './encode-image.js';
import { checkImageCount } from './image-to-image.js';
import { maskChannels, noteMask } from './inpainting.js';
import type { RunOptions } from './options.js';

type Given = Pick<OptionsOf<'ddpm'>, 'image' | 'maskImage' | 'signal'>;

/** A picture of which a model of pixels repaints a part. */
export interface RepaintInputs {
  readonly image: LoadedImages;
  readonly mask: LoadedImages;
}

/** Whether a run repaints: it has a picture, a mask, and a sampler that is made for it, or nothing of that. */
export function checkRepainted({ image, maskImage }: Given, scheduler: Scheduler, channels: number): boolean {
  if (image === undefined && maskImage === undefined) return false;
  if (image === undefined) throw invalidArgument('maskImage', 'needs an image, of which it repaints a part');
  if (maskImage === undefined)
    throw invalidArgument('image', 'needs a maskImage: white where it is repainted');
  if (!scheduler.repaints) {
    throw invalidArgument('image', "and maskImage are for the sampler RePaint: give scheduler 'RePaint'");
  }
  if (channels !== 3) throw invalidArgument('image', `is of three channels, this model makes ${channels}`);
  return true;
}

/** Finds both; undefined for a run from noise alone. */
export async function loadRepainted({ image, maskImage, signal }: Given): Promise<RepaintInputs | undefined> {
  if (image === undefined || maskImage === undefined) return undefined;
  return {
    image: await loadImages('image', image, 3, signal),
    mask: await loadImages('maskImage', maskImage, maskChannels(maskImage), signal),
  };
}

/** Bytes that reading them takes. */
export function repaintBytes({ image, mask }: RepaintInputs, { latent }: Pick<RunOptions, 'latent'>): number {
  const [, , height, width] = latent;
  return bytesOf(image, width, height, 3) + bytesOf(mask, width, height, 1);
}

/** What the loop gets, at the model's own size: the mask [n, 1, h, w], and the picture from -1 to 1. */
export async function readRepainted(
  inputs: RepaintInputs,
  { latent, signal }: Pick<RunOptions, 'latent' | 'signal'>,
  note: (message: string) => void,
): Promise<{ mask: Float32Array; init: Float32Array }> {
  const [batch, , height, width] = latent;
  checkImageCount('image', inputs.image, batch);
  checkImageCount('maskImage', inputs.mask, batch);
  const own = sizeOf(inputs.image);
  if (own.width !== width || own.height !== height) {
    note(`image is ${own.width}x${own.height} pixels, the model makes ${width}x${height}: it was resized`);
  }
  noteMask(inputs, note);
  const image = await toRgb('image', inputs.image, width, height, signal);
  const mask = await toMask('maskImage', inputs.mask, width, height, signal);
  const pixels = await inSlices(toSigned(image.data), signal);
  return {
    mask: await inSlices(repeated(mask.data, mask.shape[0] as number, batch), signal),
    init: await inSlices(repeated(pixels, image.shape[0] as number, batch), signal),
  };
}

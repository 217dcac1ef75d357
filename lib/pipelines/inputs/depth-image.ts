import { invalidArgument } from '../../errors.js';
import {
  bytesOf,
  type ImageInput,
  type LoadedImages,
  loadImages,
  sizeOf,
  toLuma,
} from '../../images/input.js';
import { interpolate } from '../../images/interpolate.js';
import { checkTensor } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { inSlices } from '../../slices.js';
import { joined, type Tensor } from '../../tensor.js';
import { repeated } from './encode-image.js';
import { checkImageCount, type Img2ImgInputs, imageToImage } from './image-to-image.js';
import { conditionsOf, type TextRunOptions } from './options.js';
import type { RunKind } from './run-kind.js';

export interface Depth2ImgOptions extends OptionsOf<'depth2img'> {
  image: ImageInput;
  depthMap: ImageInput;
}

export interface DepthInputs {
  image: Img2ImgInputs;
  depth: LoadedImages;
}

/**
 * Image to image with a depth map as one more channel of the U-Net's input (diffusers:
 * StableDiffusionDepth2ImgPipeline, without its depth estimator).
 */
export function depthToImage(strength: number): RunKind<Depth2ImgOptions, DepthInputs> {
  const base = imageToImage(strength);
  return {
    ...base,
    gives: { channels: (latents) => [latents + 1] },
    async load(options) {
      return { image: await base.load(options), depth: await loadDepth(options.depthMap, options.signal) };
    },
    size: ({ image }, facts) => base.size(image, facts),
    bytes({ image, depth }, options) {
      const own = sizeOf(depth);
      return base.bytes(image, options) + bytesOf(depth, own.width, own.height, 1);
    },
    async prepare({ image, depth }, options, note) {
      checkImageCount('depthMap', depth, options.batch);
      const prepared = await base.prepare(image, options, note);
      const map = await depthsOf(depth, options);
      const rows = new Array<Float32Array>(conditionsOf(options)).fill(map);
      return {
        async start(context) {
          const constant = await inSlices(joined(rows), options.signal);
          return { ...(await prepared.start(context)), constant };
        },
      };
    },
  };
}

async function loadDepth(given: ImageInput, signal: AbortSignal | undefined): Promise<LoadedImages> {
  // Depths are no colours: any numbers will do.
  if ((given as Partial<Tensor>).shape === undefined) return loadImages('depthMap', given, 1, signal);
  return { tensor: await checkTensor('depthMap', given as Tensor, [null, 1, null, null], signal) };
}

/** Maps at the size of the latents [batch, 1, h, w], each from -1 where it is farthest to 1 where it is nearest. */
async function depthsOf(
  depth: LoadedImages,
  { latent: [batch, , height, width], signal }: TextRunOptions,
): Promise<Float32Array> {
  const own = sizeOf(depth);
  const given = await toLuma('depthMap', depth, own.width, own.height, signal);
  const { data, shape } = await inSlices(interpolate(given, { height, width }, 'bicubic'), signal);
  const [count = 0] = shape;
  for (let i = 0; i < count; i++) {
    const map = data.subarray(i * height * width, (i + 1) * height * width);
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of map) [least, most] = [Math.min(least, value), Math.max(most, value)];
    if (least === most) throw invalidArgument('depthMap', 'is the same everywhere: it shows no depth');
    for (const [k, value] of map.entries()) map[k] = (2 * (value - least)) / (most - least) - 1;
  }
  return inSlices(repeated(data, count, batch), signal);
}

import { DeepCacheError, invalidArgument } from '../errors.js';
import { type ImageInput, type LoadedImages, loadImages, toMask, toRgb } from '../images/input.js';
import { concat, type Tensor } from '../tensor.js';
import { checkTensor } from './checks.js';
import { checkImageCount, encodeImages, repeatTo } from './encode-image.js';
import { stepsOfStrength, wholeLatents } from './image-to-image.js';
import type { GenerateOptions } from './options.js';
import type { RunContext, RunKind, RunStart } from './run-kind.js';

export interface InpaintOptions extends GenerateOptions {
  /** The picture, or one for each image of the run. */
  image: ImageInput;
  /** White where the picture is to be repainted, black where it stays. Pictures are resized to the run's size. */
  maskImage: ImageInput;
  /** How much of the schedule is run, above 0 and at most 1. Default 1, SDXL 0.9999. */
  strength?: number;
}

export interface InpaintInputs {
  image: LoadedImages;
  mask: LoadedImages;
}

/**
 * Inside a mask, with U-Nets made for it (nine input channels: latents, mask, the masked picture) and with ordinary
 * ones (four channels: the kept part is put back after every step).
 */
export function inpainting<Options extends InpaintOptions>(
  strength: number,
): RunKind<Options, InpaintInputs> {
  return {
    options: ['image', 'maskImage', 'strength'],
    encodesImages: true,
    async load({ image, maskImage }) {
      if (image === undefined || image === null) throw invalidArgument('image', 'is missing');
      if (maskImage === undefined || maskImage === null) throw invalidArgument('maskImage', 'is missing');
      return {
        image: await loadImages('image', image, 3),
        mask: await loadImages('maskImage', maskImage, channelsOf(maskImage)),
      };
    },
    size: ({ image }, scale) => wholeLatents(image, scale),
    span(options, steps) {
      const count = stepsOfStrength(options.strength ?? strength, steps);
      return (options.strength ?? strength) === 1 ? {} : { stepsToRun: count };
    },
    start: (context, options, inputs) => startInside(context, options.strength ?? strength, inputs),
  };
}

// diffusers: StableDiffusionInpaintPipeline. Draws: the picture's latents (four channels, or a strength below 1), the
// noise, the masked picture's latents.
async function startInside(context: RunContext, strength: number, inputs: InpaintInputs): Promise<RunStart> {
  const { unet, vae, options, compiled, noise, latent, guided } = context;
  const { batch, width, height } = options;
  const [, channels, h, w] = latent;
  const extra = unet.inChannels - channels;
  if (extra !== 0 && extra !== channels + 1) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `Inpainting takes a U-Net with ${channels} or ${2 * channels + 1} input channels, this one has ${unet.inChannels}`,
    );
  }
  const image = await toRgb('image', inputs.image, width, height);
  const mask = await toMask('maskImage', inputs.mask, width, height);
  checkImageCount('image', image, batch);
  checkImageCount('maskImage', mask, batch);
  const masked = maskedImage(image, mask);

  const whole = strength === 1;
  const clean = extra === 0 || !whole ? await encodeImages(vae, image, noise, options) : new Float32Array(0);
  const normal = noise.draw(channels * h * w);
  const level = compiled.startAddNoise ?? { sqrtAlpha: 1, sigma: 0 };
  const handedOver = context.continues && options.latents;
  const latents = handedOver
    ? checkTensor('latents', handedOver, latent).data
    : whole
      ? normal.map((value) => value * compiled.initNoiseSigma)
      : normal.map((value, i) => level.sqrtAlpha * (clean[i] as number) + level.sigma * value);
  // Drawn by ordinary U-Nets too, to keep the generator in step.
  const maskedLatents = await encodeImages(vae, masked, noise, options);

  const small = repeatTo(shrink(mask, vae.scale), mask.shape[0] as number, batch);
  if (extra === 0) return { latents, blend: { mask: small, init: clean, initNoise: normal } };
  const constant = interleave(small, maskedLatents, batch);
  return { latents, constant: guided ? concat([constant, constant]) : constant };
}

function channelsOf(mask: ImageInput): number {
  // A mask tensor has one channel; pictures are turned to gray.
  return (mask as Partial<Tensor>).shape?.[1] === 3 ? 3 : 1;
}

/** The picture, gray (0 between -1 and 1) where it is repainted. */
function maskedImage({ data, shape }: Tensor, mask: Tensor): Tensor {
  const [count = 0, channels = 0, height = 0, width = 0] = shape;
  const pixels = height * width;
  const rows = Math.max(count, mask.shape[0] as number);
  const out = new Float32Array(rows * channels * pixels);
  for (let i = 0; i < out.length; i++) {
    const row = Math.floor(i / (channels * pixels));
    const hidden = (mask.data[(row % (mask.shape[0] as number)) * pixels + (i % pixels)] as number) >= 0.5;
    out[i] = hidden ? 0.5 : (data[i % data.length] as number);
  }
  return { data: out, shape: [rows, channels, height, width] };
}

/** Every scale-th pixel in each axis (torch's nearest interpolation). */
function shrink({ data, shape }: Tensor, scale: number): Float32Array {
  const [count = 0, , height = 0, width = 0] = shape;
  const [h, w] = [height / scale, width / scale];
  return Float32Array.from({ length: count * h * w }, (_, i) => {
    const row = Math.floor(i / w);
    const y = (row % h) * scale;
    return data[(Math.floor(row / h) * height + y) * width + (i % w) * scale] as number;
  });
}

/** [b, 1, h, w] and [b, c, h, w] -> [b, 1 + c, h, w]. */
function interleave(mask: Float32Array, latents: Float32Array, batch: number): Float32Array {
  const part = (data: Float32Array, i: number) =>
    data.subarray((i * data.length) / batch, ((i + 1) * data.length) / batch);
  return concat(Array.from({ length: batch }, (_, i) => [part(mask, i), part(latents, i)]).flat());
}

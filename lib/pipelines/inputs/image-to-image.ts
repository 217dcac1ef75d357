import { invalidArgument } from '../../errors.js';
import {
  bytesOf,
  countOf,
  type ImageInput,
  type LoadedImages,
  loadImages,
  sizeOf,
  toRgb,
} from '../../images/input.js';
import { checkTensor } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { inSlices, mapParts } from '../../slices.js';
import type { Tensor } from '../../tensor.js';
import { ONLY_LATENTS } from '../loading/unet-inputs.js';
import { encodeImages, repeated } from './encode-image.js';
import type { TextRunOptions } from './options.js';
import type { RunKind, RunStart, StartContext } from './run-kind.js';
import { stepsOfStrength } from './strength.js';

export interface Img2ImgOptions extends OptionsOf<'img2img'> {
  image: ImageInput;
}

/** Pictures, or latents [n, 4, h, w] in model scale that another run made. */
export type Img2ImgInputs = LoadedImages | { latents: Tensor };

/**
 * From a picture (SDEdit): noised to the middle of the schedule, it is denoised from there. A tensor of four channels is latents, as in
 * diffusers' pipelines.
 */
export function imageToImage(strength: number): RunKind<Img2ImgOptions, Img2ImgInputs> {
  return {
    imageChannels: [3, 4],
    gives: ONLY_LATENTS,
    encodesImages: true,
    isSizedByImage: true,
    async load({ image, signal }) {
      if ((image as Partial<Tensor>).shape?.[1] === 4) return { latents: image as Tensor };
      return loadImages('image', image, 3, signal);
    },
    size(inputs, { scale }) {
      if (!('latents' in inputs)) return wholeLatents(inputs, scale);
      const [, , height = 0, width = 0] = inputs.latents.shape;
      return { width: width * scale, height: height * scale };
    },
    span: (options, steps) => ({ stepsToRun: stepsOfStrength(options.strength ?? strength, steps) }),
    settings: (options) => ({
      'Denoising strength': options.denoisingStart === undefined && (options.strength ?? strength),
    }),
    bytes: (inputs, { width, height }) => ('latents' in inputs ? 0 : bytesOf(inputs, width, height, 3)),
    async prepare(inputs, options, note) {
      if ('latents' in inputs) {
        return {
          start: async (context) => startFromLatents(context, await givenLatents(inputs.latents, context)),
        };
      }
      checkImageCount('image', inputs, options.batch);
      noteSize('image', inputs, options, note);
      const pixels = await toRgb('image', inputs, options.width, options.height, options.signal);
      return {
        start: async (context) =>
          startFromLatents(context, await encodeImages(context.vae, pixels, context.noise, options)),
      };
    },
  };
}

/** The same with models that were distilled on few timesteps (diffusers: LatentConsistencyModelImg2ImgPipeline). */
export function distilledImageToImage(strength: number): RunKind<Img2ImgOptions, Img2ImgInputs> {
  return {
    ...imageToImage(strength),
    span: (options) => ({ originStrength: options.strength ?? strength }),
  };
}

// diffusers: StableDiffusionImg2ImgPipeline.prepare_latents.
async function startFromLatents(
  { options, compiled, noise }: StartContext,
  clean: Float32Array,
): Promise<RunStart> {
  // Without a noise level the latents come from a run that stopped at this very step.
  if (!compiled.startAddNoise) return { latents: clean };
  const [, channels, h, w] = options.latent;
  const { sqrtAlpha, sigma } = compiled.startAddNoise;
  const normal = await noise.draw(channels * h * w, options.signal);
  const noised = mapParts(clean, (value, i) => sqrtAlpha * value + sigma * (normal[i] as number));
  return { latents: await inSlices(noised, options.signal) };
}

async function givenLatents(
  latents: Tensor,
  { options: { batch, latent, signal } }: StartContext,
): Promise<Float32Array> {
  const [, channels, h, w] = latent;
  const given = await checkTensor('image', latents, [null, channels, h, w], signal);
  checkImageCount('image', { tensor: given }, batch);
  return inSlices(repeated(given.data, given.shape[0] as number, batch), signal);
}

/** The picture's size, cut down to whole latent pixels as diffusers does; a tensor must have such a size. */
export function wholeLatents(image: LoadedImages, scale: number): { width: number; height: number } {
  const { width, height } = sizeOf(image);
  if (width < scale || height < scale) {
    throw invalidArgument('image', `is ${width}x${height}; the smallest picture is ${scale}x${scale}`);
  }
  return 'tensor' in image
    ? { width, height }
    : { width: width - (width % scale), height: height - (height % scale) };
}

/** Says that pictures were resized to a size, in multiples of a number, though nobody asked for it. */
export function noteSize(
  name: string,
  images: LoadedImages,
  { width, height, isSized }: Pick<TextRunOptions, 'width' | 'height' | 'isSized'>,
  note: (message: string) => void,
  multiple = 8,
): void {
  if (isSized) return;
  const own = sizeOf(images);
  if (own.width === width && own.height === height) return;
  note(
    `${name} is ${own.width}x${own.height} pixels, not multiples of ${multiple}: it was resized to ${width}x${height}`,
  );
}

/** Throws unless the pictures can be shared out evenly over a batch. */
export function checkImageCount(name: string, images: LoadedImages, batch: number): void {
  const count = countOf(images);
  if (batch % count !== 0) {
    throw invalidArgument(name, `has ${count} pictures for ${batch} images; give one, or one for each`);
  }
}

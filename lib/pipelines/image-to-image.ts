import { invalidArgument } from '../errors.js';
import { type ImageInput, type LoadedImages, loadImages, sizeOf, toRgb } from '../images/input.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, real } from './checks.js';
import { checkImageCount, encodeImages, repeatTo } from './encode-image.js';
import type { GenerateOptions } from './options.js';
import type { RunContext, RunKind, RunStart } from './run-kind.js';

export interface Img2ImgOptions extends GenerateOptions {
  /** The picture to start from, or one for each image of the run. */
  image: ImageInput;
  /**
   * How much of the schedule is run, above 0 and at most 1 (nothing of the picture stays). Default 0.8, SDXL 0.3. A
   * run takes the whole part of steps * strength steps.
   */
  strength?: number;
}

/** Pictures, or latents [n, 4, h, w] in model scale that another run made. */
export type Img2ImgInputs = LoadedImages | { latents: Tensor };

/**
 * From a picture (SDEdit): noised to the middle of the schedule, it is denoised from there.
 *
 * @param takesLatents whether a tensor of four channels is latents, as in diffusers' SDXL pipelines.
 */
export function imageToImage<Options extends Img2ImgOptions>(
  strength: number,
  takesLatents = false,
): RunKind<Options, Img2ImgInputs> {
  return {
    options: ['image', 'strength'],
    encodesImages: true,
    async load({ image }) {
      if (image === undefined || image === null) throw invalidArgument('image', 'is missing');
      if (takesLatents && (image as Partial<Tensor>).shape?.[1] === 4) return { latents: image as Tensor };
      return loadImages('image', image, 3);
    },
    size(inputs, scale) {
      if (!('latents' in inputs)) return wholeLatents(inputs, scale);
      const [, , height = 0, width = 0] = inputs.latents.shape;
      return { width: width * scale, height: height * scale };
    },
    span: (options, steps) => ({ stepsToRun: stepsOfStrength(options.strength ?? strength, steps) }),
    start: (context, _options, inputs) => startFromImage(context, inputs),
  };
}

// diffusers: StableDiffusionImg2ImgPipeline.prepare_latents.
async function startFromImage(context: RunContext, inputs: Img2ImgInputs): Promise<RunStart> {
  const { vae, options, compiled, noise, latent } = context;
  const [, channels, h, w] = latent;
  let clean: Float32Array;
  if ('latents' in inputs) {
    const given = checkTensor('image', inputs.latents, [null, channels, h, w]);
    checkImageCount('image', given, options.batch);
    clean = repeatTo(given.data, given.shape[0] as number, options.batch);
  } else {
    const pixels = await toRgb('image', inputs, options.width, options.height);
    checkImageCount('image', pixels, options.batch);
    clean = await encodeImages(vae, pixels, noise, options);
  }
  // Without a noise level the latents come from a run that stopped at this very step.
  if (!compiled.startAddNoise) return { latents: clean };
  const { sqrtAlpha, sigma } = compiled.startAddNoise;
  const normal = noise.draw(channels * h * w);
  return { latents: clean.map((value, i) => sqrtAlpha * value + sigma * (normal[i] as number)) };
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

/** How many steps a strength runs. */
export function stepsOfStrength(strength: number, steps: number): number {
  real('strength', strength, 0, 0, 1);
  const count = Math.min(steps, Math.trunc(steps * strength));
  if (count >= 1) return count;
  throw invalidArgument('strength', `${strength} of ${steps} steps runs none; use at least ${1 / steps}`);
}

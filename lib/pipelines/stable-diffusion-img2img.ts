import { invalidArgument } from '../errors.js';
import { type ImageInput, type LoadedImages, loadImages, sizeOf, toRgb } from '../images/input.js';
import { real } from './checks.js';
import { registerPipeline } from './diffusion-pipeline.js';
import { checkImageCount, encodeImages } from './encode-image.js';
import { LatentPipeline, type RunContext, type RunStart } from './latent-pipeline.js';
import type { GenerateOptions } from './options.js';

export interface Img2ImgOptions extends GenerateOptions {
  /** The picture to start from, or one for each image of the run. */
  image: ImageInput;
  /**
   * How much of the schedule is run, above 0 and at most 1 (nothing of the picture stays). Default 0.8. A run takes
   * the whole part of steps * strength steps.
   */
  strength?: number;
}

/** Image to image (SDEdit): the picture, noised to the middle of the schedule, is denoised from there. */
export class StableDiffusionImg2ImgPipeline extends LatentPipeline<Img2ImgOptions, LoadedImages> {
  static override readonly className: string = 'StableDiffusionImg2ImgPipeline';
  protected override readonly extraOptions: readonly string[] = ['image', 'strength'];
  protected override readonly encodesImages = true;

  protected override async loadInputs({ image }: Img2ImgOptions): Promise<LoadedImages> {
    if (image === undefined || image === null) throw invalidArgument('image', 'is missing');
    return loadImages('image', image, 3);
  }

  protected override defaultSize(image: LoadedImages): { width: number; height: number } {
    return wholeLatents(image, this.vae.scale);
  }

  protected override stepsToRun({ strength }: Img2ImgOptions, steps: number): number {
    return stepsOfStrength(strength ?? 0.8, steps);
  }

  // diffusers: StableDiffusionImg2ImgPipeline.prepare_latents.
  protected override async start(
    { options, compiled, noise, latent }: RunContext,
    _given: Img2ImgOptions,
    image: LoadedImages,
  ): Promise<RunStart> {
    const pixels = toRgb('image', image, options.width, options.height);
    checkImageCount('image', pixels, options.batch);
    const clean = await encodeImages(this.vae, pixels, noise, options);
    const normal = noise.draw(latent[1] * latent[2] * latent[3]);
    const { sqrtAlpha, sigma } = compiled.startAddNoise ?? { sqrtAlpha: 1, sigma: 0 };
    return { latents: clean.map((value, i) => sqrtAlpha * value + sigma * (normal[i] as number)) };
  }
}

registerPipeline(StableDiffusionImg2ImgPipeline);

/** The picture's size, cut down to whole latent pixels as diffusers does; a tensor must have such a size. */
export function wholeLatents(image: LoadedImages, scale: number): { width: number; height: number } {
  const { width, height } = sizeOf(image);
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

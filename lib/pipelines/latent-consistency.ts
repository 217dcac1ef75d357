import type { GenerationDefaults } from './generation-config.js';
import { type Img2ImgInputs, type Img2ImgOptions, imageToImage } from './image-to-image.js';
import type { GenerateOptions } from './options.js';
import { registerPipeline } from './registry.js';
import { StableDiffusion } from './stable-diffusion.js';
import { textToImage } from './text-to-image.js';

const RECOMMENDED: GenerationDefaults = { steps: 4, guidanceScale: 8.5 };

/** Text to image with latent consistency models whose U-Net takes the guidance scale as an input. */
export class LatentConsistencyModelPipeline extends StableDiffusion<GenerateOptions, undefined> {
  static override readonly className: string = 'LatentConsistencyModelPipeline';
  static override readonly recommended = RECOMMENDED;
  protected override readonly kind = textToImage();
}

/** Image to image with the same models. */
export class LatentConsistencyModelImg2ImgPipeline extends StableDiffusion<Img2ImgOptions, Img2ImgInputs> {
  static override readonly className: string = 'LatentConsistencyModelImg2ImgPipeline';
  static override readonly recommended = RECOMMENDED;
  protected override readonly kind = imageToImage(0.8);
}

registerPipeline(LatentConsistencyModelPipeline);
registerPipeline(LatentConsistencyModelImg2ImgPipeline);

import type { GenerationDefaults } from './generation-config.js';
import type { GenerateOptions } from './options.js';
import { registerPipeline } from './registry.js';
import { StableDiffusion } from './stable-diffusion.js';
import { textToImage } from './text-to-image.js';

/** Text to image with latent consistency models whose U-Net takes the guidance scale as an input. */
export class LatentConsistencyModelPipeline extends StableDiffusion<GenerateOptions, undefined> {
  static override readonly className: string = 'LatentConsistencyModelPipeline';
  static override readonly recommended: GenerationDefaults = { steps: 4, guidanceScale: 8.5 };
  protected override readonly family = 'text2img';
  protected override readonly kind = textToImage();
}

registerPipeline(LatentConsistencyModelPipeline);

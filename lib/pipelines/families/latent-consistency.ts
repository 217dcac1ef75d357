import type { GenerateOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import type { GenerationDefaults } from '../loading/generation-config.js';
import { registerPipeline } from '../loading/registry.js';
import { StableDiffusion } from './stable-diffusion.js';

/** Text to image with latent consistency models whose U-Net takes the guidance scale as an input. */
export class LatentConsistencyModelPipeline extends StableDiffusion<GenerateOptions, undefined> {
  static override readonly className: string = 'LatentConsistencyModelPipeline';
  static override readonly recommended: GenerationDefaults = { steps: 4, guidanceScale: 8.5 };
  protected override readonly family = 'text2img';
  protected override readonly kind = textToImage();
}

registerPipeline(LatentConsistencyModelPipeline);

import type { GenerateOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import { registerPipeline } from '../loading/registry.js';
import { latentFamily } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';

/**
 * Text to image with Stable Diffusion and self-attention guidance, by default, as in diffusers' pipeline of this name; all
 * others take its option too.
 */
export class StableDiffusionSAGPipeline extends StableDiffusion<GenerateOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionSAGPipeline',
    recommended: { sagScale: 0.75 },
    options: 'text2img',
    kind: textToImage(),
  });
}

registerPipeline(StableDiffusionSAGPipeline);

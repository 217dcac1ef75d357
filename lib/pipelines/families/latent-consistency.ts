import { distilledImageToImage, type Img2ImgOptions } from '../inputs/image-to-image.js';
import type { GenerateOptions } from '../inputs/options.js';
import { textToImage } from '../inputs/text-to-image.js';
import { registerPipeline } from '../loading/registry.js';
import { latentFamily } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';

const RECOMMENDED = { steps: 4, guidanceScale: 8.5 };

/** Text to image with latent consistency models whose U-Net takes the guidance scale as an input. */
export class LatentConsistencyModelPipeline extends StableDiffusion<GenerateOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'LatentConsistencyModelPipeline',
    second: () => LatentConsistencyModelImg2ImgPipeline.family,
    recommended: RECOMMENDED,
    options: 'text2img',
    kind: textToImage(),
  });
}

/**
 * Image to image with latent consistency models: all steps are run, over the share of the timesteps that `strength` leaves of
 * those that the model was distilled on.
 */
export class LatentConsistencyModelImg2ImgPipeline extends StableDiffusion<Img2ImgOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'LatentConsistencyModelImg2ImgPipeline',
    recommended: RECOMMENDED,
    options: 'img2img',
    kind: distilledImageToImage(0.8),
  });
}

for (const pipeline of [LatentConsistencyModelPipeline, LatentConsistencyModelImg2ImgPipeline])
  registerPipeline(pipeline);

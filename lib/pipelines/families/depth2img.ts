import { type Depth2ImgOptions, depthToImage } from '../inputs/depth-image.js';
import { registerPipeline } from '../loading/registry.js';
import { latentFamily } from './latent.js';
import { SD_MODEL, StableDiffusion } from './stable-diffusion.js';

/** Image to image that keeps to a depth map, with the depth model of Stable Diffusion 2. */
export class StableDiffusionDepth2ImgPipeline extends StableDiffusion<Depth2ImgOptions> {
  static override readonly family = latentFamily({
    ...SD_MODEL,
    className: 'StableDiffusionDepth2ImgPipeline',
    options: 'depth2img',
    kind: depthToImage(0.8),
  });
}

registerPipeline(StableDiffusionDepth2ImgPipeline);

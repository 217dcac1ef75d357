import { type Img2ImgInputs, type Img2ImgOptions, imageToImage } from '../inputs/image-to-image.js';
import { registerPipeline } from '../loading/registry.js';
import { StableDiffusion } from './stable-diffusion.js';

/** Image to image with Stable Diffusion 1.x and 2.x. */
export class StableDiffusionImg2ImgPipeline extends StableDiffusion<Img2ImgOptions, Img2ImgInputs> {
  static override readonly className: string = 'StableDiffusionImg2ImgPipeline';
  protected override readonly family = 'img2img';
  protected override readonly kind = imageToImage(0.8);
}

registerPipeline(StableDiffusionImg2ImgPipeline);

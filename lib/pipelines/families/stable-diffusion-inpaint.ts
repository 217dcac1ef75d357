import { type InpaintInputs, type InpaintOptions, inpainting } from '../inputs/inpainting.js';
import { registerPipeline } from '../loading/registry.js';
import { StableDiffusion } from './stable-diffusion.js';

/** Inpainting with Stable Diffusion 1.x and 2.x: U-Nets of nine channels and ordinary ones. */
export class StableDiffusionInpaintPipeline extends StableDiffusion<InpaintOptions, InpaintInputs> {
  static override readonly className: string = 'StableDiffusionInpaintPipeline';
  protected override readonly family = 'inpaint';
  protected override readonly kind = inpainting(1);
}

registerPipeline(StableDiffusionInpaintPipeline);

import type { UnetSize } from '../native/types.js';
import { type SizeOptions, UNetModel } from './unet.js';

/** A U-Net in pixels without conditions: diffusers' UNet2DModel, or the DDPM code's Model. */
export class UNet2DModel extends UNetModel {}

/** Latent diffusion's class-conditional U-Net: its context is one token, the class. */
export class LatentUNetModel extends UNetModel {
  protected override size(options: SizeOptions): UnetSize {
    return super.size({ contextLength: 1, ...options });
  }
}

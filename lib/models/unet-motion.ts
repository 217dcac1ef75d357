import type { UnetSize } from '../native/types.js';
import { type SizeOptions, UNetModel } from './unet.js';

/**
 * A U-Net of an image model with motion modules, AnimateDiff's (diffusers' UNetMotionModel). Sizes count frames as
 * samples: one video of 16 by default. {@link withMotion} makes what it is loaded from.
 */
export class UNetMotionModel extends UNetModel {
  protected override size(options: SizeOptions): UnetSize {
    const frames = options.frames ?? 16;
    return { ...super.size({ batch: frames, ...options }), frames };
  }
}

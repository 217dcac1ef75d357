import { maxFramesOf, usualFramesOf } from '../configs/unet-size.js';
import type { UnetSize } from '../native/types.js';
import { type SizeOptions, UNetModel } from './unet.js';

/**
 * A U-Net of an image model with motion modules, AnimateDiff's (diffusers' UNetMotionModel). Sizes count frames as
 * samples: one video of 16 by default. {@link withMotion} makes what it is loaded from.
 */
export class UNetMotionModel extends UNetModel {
  /** Frames of a video at most. */
  get maxFrames(): number {
    return maxFramesOf(this.config);
  }

  protected override size(options: SizeOptions): UnetSize {
    const frames = options.frames ?? usualFramesOf(this.maxFrames);
    const { frameWindows } = options;
    const size = super.size({ batch: frames, ...options });
    return { ...size, frames, ...(frameWindows && { frameWindows }) };
  }
}

import type { UnetSize } from '../native/types.js';
import { type SizeOptions, UNetModel } from './unet.js';

/**
 * A U-Net of Stable Video Diffusion (diffusers' UNetSpatioTemporalConditionModel). Sizes count frames as samples: one
 * video of the model's own length by default.
 */
export class UNetSpatioTemporalConditionModel extends UNetModel {
  /** Frames that the model was trained on. */
  get numFrames(): number {
    return this.native.frames;
  }

  protected override size(options: SizeOptions): UnetSize {
    const frames = options.frames ?? this.numFrames;
    // One token stands for the picture that the video begins with.
    return { ...super.size({ batch: frames, contextLength: 1, ...options }), frames };
  }
}

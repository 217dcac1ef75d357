import type { UnetSize } from '../native/types.js';
import { type SizeOptions, UNetModel } from './unet.js';

/** What motion modules were trained on, and diffusers' default. */
const USUAL_FRAMES = 16;

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

/** By a U-Net's configuration, or a MotionAdapter's. */
export function maxFramesOf({ motion_max_seq_length: most }: Readonly<Record<string, unknown>>): number {
  return typeof most === 'number' ? most : 32;
}

/** Frames of a video where nobody says how many. */
export function usualFramesOf(maxFrames: number): number {
  return Math.min(USUAL_FRAMES, maxFrames);
}

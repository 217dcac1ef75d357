import { UNetModel } from '../models/unet.js';

/**
 * A network beside a U-Net that sees a picture (diffusers' ControlNetModel): a copy of the U-Net's encoder whose outputs
 * are added to the U-Net's skips.
 */
export class ControlNetModel extends UNetModel {
  /** Pixels of its picture for one of the latents, in each axis. */
  get scale(): number {
    return this.native.controlScale;
  }

  /** Bytes of the weights. */
  get weightBytes(): number {
    return this.memory().weights;
  }

  /** Kinds of pictures that it takes at once (ControlNet-Union); 0 for one that takes its own. */
  get kinds(): number {
    return this.native.controlKinds;
  }

  /** Its outputs are their means over all pixels (the shuffle model): places in its picture say nothing. */
  get poolsConditions(): boolean {
    return this.config.global_pool_conditions === true;
  }

  /** It sees its picture's channels in the order blue, green, red. */
  get isBgr(): boolean {
    return this.config.controlnet_conditioning_channel_order === 'bgr';
  }

  /** Channels of its picture. */
  get imageChannels(): number {
    return this.native.controlChannels;
  }
}

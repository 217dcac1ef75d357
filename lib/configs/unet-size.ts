/** What a U-Net's configuration says about the pictures that it was trained on. */
export interface UnetDefaults {
  /** Pixels of a sample: latent ones, where the model works on latents. */
  height: number;
  width: number;
  /** Image pixels of one of those. */
  scale: number;
  /** Tokens of its context. */
  contextLength: number;
  /** Frames of a video; not there for pictures. */
  frames?: number;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads every format of configurations that U-Nets are loaded from. */
export function unetDefaults(config: Fields): UnetDefaults {
  if (typeof config.target === 'string') {
    const params = section(config, 'params');
    const unet = section(section(params, 'unet_config'), 'params');
    const decoder = section(section(section(params, 'first_stage_config'), 'params'), 'ddconfig');
    const levels = Array.isArray(decoder.ch_mult) ? decoder.ch_mult.length : 3;
    return { ...sizeOf(unet.image_size, 64), scale: 2 ** (levels - 1), contextLength: 1 };
  }
  if (Array.isArray(config.ch_mult)) {
    return { ...sizeOf(config.image_size, 64), scale: 1, contextLength: 1 };
  }
  if (config._class_name === 'UNet2DModel') {
    return { ...sizeOf(config.sample_size, 32), scale: 1, contextLength: 1 };
  }
  const size = sizeOf(config.sample_size, 64);
  if (config._class_name === 'UNetSpatioTemporalConditionModel') {
    return { ...size, scale: 8, contextLength: 1, frames: number(config.num_frames, 25) };
  }
  if (config._class_name === 'UNetMotionModel') {
    return {
      ...size,
      scale: 8,
      contextLength: 77,
      frames: usualFramesOf(maxFramesOf(config)),
    };
  }
  // A picture beside the latents has their size; the autoencoder of the x4 upscaler has three levels.
  return { ...size, scale: config.in_channels === 7 ? 4 : 8, contextLength: 77 };
}

/** What motion modules were trained on, and diffusers' default. */
const USUAL_FRAMES = 16;

/** Frames of a video at most, by the configuration of a U-Net with motion modules, or a MotionAdapter's. */
export function maxFramesOf({ motion_max_seq_length: most }: Fields): number {
  return number(most, 32);
}

/** Frames of a video where nobody says how many. */
export function usualFramesOf(maxFrames: number): number {
  return Math.min(USUAL_FRAMES, maxFrames);
}

/** Width of the text that a U-Net of diffusers reads, of which its cross attention may see a projection. */
export function textWidthOf(config: Fields): unknown {
  const width = config.encoder_hid_dim ?? config.cross_attention_dim;
  return Array.isArray(width) ? width[0] : width;
}

function number(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}

/** One number for both axes, or [height, width]. */
function sizeOf(size: unknown, fallback: number): { height: number; width: number } {
  const [height, width] = Array.isArray(size) ? size : [size, size];
  return { height: number(height, fallback), width: number(width, fallback) };
}

function section(config: Fields, name: string): Fields {
  const value = config[name];
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

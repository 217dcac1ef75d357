/** What a U-Net's configuration says about the pictures that it was trained on. */
export interface UnetDefaults {
  /** Pixels of a sample in each axis: latent ones, where the model works on latents. */
  sampleSize: number;
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
  const number = (value: unknown, fallback: number) => (typeof value === 'number' ? value : fallback);
  if (typeof config.target === 'string') {
    const params = section(config, 'params');
    const unet = section(section(params, 'unet_config'), 'params');
    const decoder = section(section(section(params, 'first_stage_config'), 'params'), 'ddconfig');
    const levels = Array.isArray(decoder.ch_mult) ? decoder.ch_mult.length : 3;
    return { sampleSize: number(unet.image_size, 64), scale: 2 ** (levels - 1), contextLength: 1 };
  }
  if (Array.isArray(config.ch_mult)) {
    return { sampleSize: number(config.image_size, 64), scale: 1, contextLength: 1 };
  }
  if (config._class_name === 'UNet2DModel') {
    return { sampleSize: number(config.sample_size, 32), scale: 1, contextLength: 1 };
  }
  const sampleSize = number(config.sample_size, 64);
  if (config._class_name === 'UNetSpatioTemporalConditionModel') {
    return { sampleSize, scale: 8, contextLength: 1, frames: number(config.num_frames, 25) };
  }
  return { sampleSize, scale: 8, contextLength: 77 };
}

function section(config: Fields, name: string): Fields {
  const value = config[name];
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

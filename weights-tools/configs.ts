import { KL_F8 } from '../lib/configs/autoencoders.js';
import { CLIP_H_TEXT, CLIP_L_TEXT } from '../lib/configs/clip.js';
import { UNET_CONFIGS } from '../lib/configs/unets.js';

/** The value of a config.json. */
export type Config = Readonly<Record<string, unknown>>;

/**
 * The widths and heads of Stable Diffusion's levels, and nothing else of its size: three levels with attention in the
 * two finer ones and in the middle, and latents of 8x8.
 */
export const SMALL_UNET: Config = {
  ...UNET_CONFIGS.sd15,
  block_out_channels: [320, 640, 1280],
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
  sample_size: 8,
};

/** The autoencoder of Stable Diffusion, or one with few channels and the same factor of 8. */
export function vaeConfig(latentChannels: number, sampleSize: number, isSmall: boolean): Config {
  return {
    ...KL_F8,
    ...(isSmall && { block_out_channels: [32, 32, 64, 64], layers_per_block: 1 }),
    latent_channels: latentChannels,
    sample_size: sampleSize * 8,
  };
}

/** The text encoder of SD 1.5 or 2.1 if `width` is one of theirs, else one of two layers. */
export function textEncoderConfig(width: number, vocabulary: number, isSmall: boolean): Config {
  const published = [CLIP_L_TEXT, CLIP_H_TEXT].find((config) => !isSmall && config.hidden_size === width);
  const small = {
    ...CLIP_L_TEXT,
    hidden_size: width,
    intermediate_size: 4 * width,
    num_attention_heads: width % 64 === 0 ? width / 64 : 1,
    num_hidden_layers: 2,
    projection_dim: width,
  };
  return { ...(published ?? small), vocab_size: vocabulary };
}

export const MODEL_INDEX: Config = {
  _class_name: 'StableDiffusionPipeline',
  _diffusers_version: '0.6.0',
  feature_extractor: [null, null],
  requires_safety_checker: false,
  safety_checker: [null, null],
  scheduler: ['diffusers', 'PNDMScheduler'],
  text_encoder: ['transformers', 'CLIPTextModel'],
  tokenizer: ['transformers', 'CLIPTokenizer'],
  unet: ['diffusers', 'UNet2DConditionModel'],
  vae: ['diffusers', 'AutoencoderKL'],
};

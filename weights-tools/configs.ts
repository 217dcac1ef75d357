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
    _class_name: 'AutoencoderKL',
    _diffusers_version: '0.6.0',
    act_fn: 'silu',
    block_out_channels: isSmall ? [32, 32, 64, 64] : [128, 256, 512, 512],
    down_block_types: Array(4).fill('DownEncoderBlock2D'),
    in_channels: 3,
    latent_channels: latentChannels,
    layers_per_block: isSmall ? 1 : 2,
    norm_num_groups: 32,
    out_channels: 3,
    sample_size: sampleSize * 8,
    scaling_factor: 0.18215,
    up_block_types: Array(4).fill('UpDecoderBlock2D'),
  };
}

/** The text encoder of SD 1.5 or 2.1 if `width` is one of theirs, else one of two layers. */
export function textEncoderConfig(width: number, vocabulary: number, isSmall: boolean): Config {
  const published: Record<number, { layers: number; activation: string }> = {
    768: { layers: 12, activation: 'quick_gelu' },
    1024: { layers: 23, activation: 'gelu' },
  };
  const { layers, activation } = (!isSmall && published[width]) || { layers: 2, activation: 'quick_gelu' };
  return {
    architectures: ['CLIPTextModel'],
    model_type: 'clip_text_model',
    bos_token_id: 0,
    // Wrong, but what the published models have: it means that the end token is the one with the largest id.
    eos_token_id: 2,
    pad_token_id: 1,
    hidden_act: activation,
    hidden_size: width,
    intermediate_size: 4 * width,
    layer_norm_eps: 1e-5,
    max_position_embeddings: 77,
    num_attention_heads: width % 64 === 0 ? width / 64 : 1,
    num_hidden_layers: layers,
    projection_dim: width,
    torch_dtype: 'float16',
    vocab_size: vocabulary,
  };
}

/** The sampler of Stable Diffusion 1.5. */
export const SCHEDULER: Config = {
  _class_name: 'PNDMScheduler',
  _diffusers_version: '0.6.0',
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  beta_start: 0.00085,
  clip_sample: false,
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  trained_betas: null,
};

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

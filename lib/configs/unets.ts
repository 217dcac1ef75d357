/**
 * The U-Nets of published models, as far as their configurations differ from diffusers' defaults. Source: the
 * config.json files of the models' unet folders.
 */

const STABLE_DIFFUSION = {
  _class_name: 'UNet2DConditionModel',
  _diffusers_version: '0.6.0',
  act_fn: 'silu',
  block_out_channels: [320, 640, 1280, 1280],
  center_input_sample: false,
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  downsample_padding: 1,
  flip_sin_to_cos: true,
  freq_shift: 0,
  in_channels: 4,
  layers_per_block: 2,
  mid_block_scale_factor: 1,
  norm_eps: 1e-5,
  norm_num_groups: 32,
  out_channels: 4,
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
};

export const SD15 = { ...STABLE_DIFFUSION, attention_head_dim: 8, cross_attention_dim: 768, sample_size: 64 };

export const SD21_BASE = {
  ...STABLE_DIFFUSION,
  attention_head_dim: [5, 10, 20, 20],
  cross_attention_dim: 1024,
  sample_size: 64,
  use_linear_projection: true,
};

/** The x4 upscaler of Stable Diffusion 2: a picture beside the latents, and its noise as the class. */
export const SD2_UPSCALER = {
  ...STABLE_DIFFUSION,
  _diffusers_version: '0.8.0.dev0',
  attention_head_dim: 8,
  block_out_channels: [256, 512, 512, 1024],
  cross_attention_dim: 1024,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
  in_channels: 7,
  num_class_embeds: 1000,
  only_cross_attention: [true, true, true, false],
  sample_size: 128,
  up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
  use_linear_projection: true,
};

export const SDXL = {
  ...STABLE_DIFFUSION,
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  attention_head_dim: [5, 10, 20],
  block_out_channels: [320, 640, 1280],
  cross_attention_dim: 2048,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
  projection_class_embeddings_input_dim: 2816,
  sample_size: 128,
  transformer_layers_per_block: [1, 2, 10],
  up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
  use_linear_projection: true,
};

export const SDXL_REFINER = {
  ...SDXL,
  attention_head_dim: [6, 12, 24, 24],
  block_out_channels: [384, 768, 1536, 1536],
  cross_attention_dim: 1280,
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  projection_class_embeddings_input_dim: 2560,
  transformer_layers_per_block: 4,
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
};

/** Stable Video Diffusion; XT is the same with more frames. */
export const SVD = {
  _class_name: 'UNetSpatioTemporalConditionModel',
  addition_time_embed_dim: 256,
  block_out_channels: [320, 640, 1280, 1280],
  cross_attention_dim: 1024,
  down_block_types: [
    'CrossAttnDownBlockSpatioTemporal',
    'CrossAttnDownBlockSpatioTemporal',
    'CrossAttnDownBlockSpatioTemporal',
    'DownBlockSpatioTemporal',
  ],
  in_channels: 8,
  layers_per_block: 2,
  num_attention_heads: [5, 10, 20, 20],
  num_frames: 14,
  out_channels: 4,
  projection_class_embeddings_input_dim: 768,
  sample_size: 96,
  transformer_layers_per_block: 1,
  up_block_types: [
    'UpBlockSpatioTemporal',
    'CrossAttnUpBlockSpatioTemporal',
    'CrossAttnUpBlockSpatioTemporal',
    'CrossAttnUpBlockSpatioTemporal',
  ],
};

/** The DDPM code's configurations (in its own format), as far as they shape the network. */
const DDPM = {
  attn_resolutions: [16],
  ch: 128,
  in_channels: 3,
  num_res_blocks: 2,
  out_ch: 3,
  resamp_with_conv: true,
};

/** LDM-4-G for ImageNet (cin256-v2), in CompVis' format. */
const LDM4 = {
  target: 'ldm.models.diffusion.ddpm.LatentDiffusion',
  params: {
    image_size: 64,
    channels: 3,
    unet_config: {
      target: 'ldm.modules.diffusionmodules.openaimodel.UNetModel',
      params: {
        image_size: 64,
        in_channels: 3,
        out_channels: 3,
        model_channels: 192,
        attention_resolutions: [8, 4, 2],
        num_res_blocks: 2,
        channel_mult: [1, 2, 3, 5],
        num_heads: 1,
        use_spatial_transformer: true,
        transformer_depth: 1,
        context_dim: 512,
      },
    },
  },
};

/** SD 1.5 with the motion modules of AnimateDiff's second version. */
const ANIMATEDIFF = {
  ...SD15,
  _class_name: 'UNetMotionModel',
  down_block_types: SD15.down_block_types.map((type) => type.replace('2D', 'Motion')),
  up_block_types: SD15.up_block_types.map((type) => type.replace('2D', 'Motion')),
  motion_num_attention_heads: 8,
  motion_max_seq_length: 32,
  use_motion_mid_block: true,
};

/** By the names that `--model-name` takes. */
export const UNET_CONFIGS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  sd15: SD15,
  'sd21-base': SD21_BASE,
  sd21: { ...SD21_BASE, sample_size: 96 },
  sdxl: SDXL,
  'sdxl-refiner': SDXL_REFINER,
  'x4-upscaler': SD2_UPSCALER,
  svd: SVD,
  'svd-xt': { ...SVD, num_frames: 25 },
  animatediff: ANIMATEDIFF,
  'ddpm-cifar10': { ...DDPM, image_size: 32, ch_mult: [1, 2, 2, 2] },
  // Bedroom and church have the same network.
  'ddpm-lsun': { ...DDPM, image_size: 256, ch_mult: [1, 1, 2, 2, 4, 4] },
  'ldm4-cin256': LDM4,
};

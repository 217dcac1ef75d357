/** The autoencoders of published models, from the config.json files of their vae folders. */

const NETWORK = {
  act_fn: 'silu',
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array<string>(4).fill('DownEncoderBlock2D'),
  in_channels: 3,
  latent_channels: 4,
  layers_per_block: 2,
  out_channels: 3,
};

/** Of Stable Diffusion 1 and 2. */
export const KL_F8 = {
  _class_name: 'AutoencoderKL',
  _diffusers_version: '0.6.0',
  ...NETWORK,
  norm_num_groups: 32,
  sample_size: 512,
  scaling_factor: 0.18215,
  up_block_types: Array<string>(4).fill('UpDecoderBlock2D'),
};

/** Of Stable Diffusion 2's x4 upscaler. */
export const KL_F4 = {
  ...KL_F8,
  block_out_channels: [128, 256, 512],
  down_block_types: Array<string>(3).fill('DownEncoderBlock2D'),
  sample_size: 256,
  scaling_factor: 0.08333,
  up_block_types: Array<string>(3).fill('UpDecoderBlock2D'),
};

export const KL_F8_XL = {
  ...KL_F8,
  _diffusers_version: '0.20.0.dev0',
  force_upcast: true,
  sample_size: 1024,
  scaling_factor: 0.13025,
};

/** Of Stable Video Diffusion. */
export const KL_F8_TEMPORAL = {
  _class_name: 'AutoencoderKLTemporalDecoder',
  _diffusers_version: '0.24.0.dev0',
  ...NETWORK,
  force_upcast: true,
  sample_size: 768,
  scaling_factor: 0.18215,
};

/** The samplers of published models, from their scheduler_config.json files. */

const TRAINING = {
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  beta_start: 0.00085,
  num_train_timesteps: 1000,
  steps_offset: 1,
  trained_betas: null,
};

/** Of Stable Diffusion 1.5 and 2 base. */
export const PNDM = {
  _class_name: 'PNDMScheduler',
  _diffusers_version: '0.6.0',
  ...TRAINING,
  clip_sample: false,
  set_alpha_to_one: false,
  skip_prk_steps: true,
};

/** Of Stable Diffusion 2.1. */
export const DDIM_V = {
  ...PNDM,
  _class_name: 'DDIMScheduler',
  _diffusers_version: '0.8.0',
  prediction_type: 'v_prediction',
};

/** Of Stable Diffusion 2's x4 upscaler. */
export const DDIM_UPSCALER = { ...DDIM_V, beta_end: 0.02, beta_start: 0.0001 };

/** The same, of the small pictures. */
export const DDPM_LOW_RES = {
  _class_name: 'DDPMScheduler',
  _diffusers_version: '0.8.0',
  beta_end: 0.02,
  beta_schedule: 'scaled_linear',
  beta_start: 0.0001,
  clip_sample: true,
  num_train_timesteps: 1000,
  trained_betas: null,
  variance_type: 'fixed_small',
};

/** Of InstructPix2Pix. */
export const EULER_A = {
  ...PNDM,
  _class_name: 'EulerAncestralDiscreteScheduler',
  _diffusers_version: '0.12.0.dev0',
  prediction_type: 'epsilon',
};

/** Of SDXL. */
export const EULER_XL = {
  ...PNDM,
  _class_name: 'EulerDiscreteScheduler',
  _diffusers_version: '0.19.0.dev0',
  interpolation_type: 'linear',
  prediction_type: 'epsilon',
  sample_max_value: 1,
  timestep_spacing: 'leading',
  use_karras_sigmas: false,
};

/** Of Stable Video Diffusion. */
export const EULER_VIDEO = {
  _class_name: 'EulerDiscreteScheduler',
  _diffusers_version: '0.24.0.dev0',
  ...TRAINING,
  interpolation_type: 'linear',
  prediction_type: 'v_prediction',
  sigma_max: 700,
  sigma_min: 0.002,
  timestep_spacing: 'leading',
  timestep_type: 'continuous',
  use_karras_sigmas: true,
};

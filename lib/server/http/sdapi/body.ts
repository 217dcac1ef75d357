import { type Static, Type } from '@sinclair/typebox';

// What clients of the web UI send. They send much that has no meaning here, so that unknown fields are let pass.

const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) =>
  Type.Optional(Type.Union([type, Type.Null()]));
const text = orNull(Type.String());
const number = orNull(Type.Number());
const whole = orNull(Type.Integer());
const flag = orNull(Type.Boolean());

const shared = {
  prompt: text,
  negative_prompt: text,
  seed: whole,
  steps: whole,
  cfg_scale: number,
  width: whole,
  height: whole,
  sampler_name: text,
  sampler_index: text,
  scheduler: text,
  batch_size: whole,
  n_iter: whole,
  denoising_strength: number,
  eta: number,
  clip_skip: whole,
  send_images: flag,
  force_task_id: text,
  override_settings: orNull(
    Type.Object({
      sd_model_checkpoint: text,
      CLIP_stop_at_last_layers: whole,
    }),
  ),
  /** Extensions; ControlNet's alone has a meaning here. */
  alwayson_scripts: Type.Optional(Type.Any()),
  /** Ours: DeepCache. */
  cache: Type.Optional(Type.Any()),
};

export const TextToImageBody = Type.Object({
  ...shared,
  enable_hr: flag,
  hr_scale: number,
  hr_upscaler: text,
  hr_second_pass_steps: whole,
});

export const ImageToImageBody = Type.Object({
  ...shared,
  init_images: orNull(Type.Array(Type.String())),
  mask: text,
  inpainting_mask_invert: orNull(Type.Union([Type.Integer(), Type.Boolean()])),
});

export type TextToImage = Static<typeof TextToImageBody>;
export type ImageToImage = Static<typeof ImageToImageBody>;
export type Body = TextToImage & ImageToImage;

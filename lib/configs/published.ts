import type { JsonObject } from '../files/json.js';
import { KL_F4, KL_F8, KL_F8_TEMPORAL, KL_F8_XL } from './autoencoders.js';
import { CLIP_G_TEXT, CLIP_H_TEXT, CLIP_H_VISION, CLIP_L_TEXT } from './clip.js';
import { DDIM_UPSCALER, DDIM_V, DDPM_LOW_RES, EULER_A, EULER_VIDEO, EULER_XL, PNDM } from './samplers.js';
import { SD2_UPSCALER, SD15, SD21_BASE, SDXL, SDXL_REFINER, SVD } from './unets.js';

/** A published model without its weights: what its folder's JSON files hold, as far as it matters. */
export interface PublishedModel {
  /** What people call it. */
  readonly title: string;
  /** By their names in the diffusers layout. */
  readonly files: Readonly<Record<string, Readonly<JsonObject>>>;
  /** The tokens that tokenizers fill texts up with, by the tokenizers' folders; all have CLIP's vocabulary. */
  readonly padTokens: Readonly<Record<string, string>>;
}

const END = '<|endoftext|>';

/** Of the pipelines' own samplers and parts. */
const CLASSES = {
  tokenizer: ['transformers', 'CLIPTokenizer'],
  text: ['transformers', 'CLIPTextModel'],
  projected: ['transformers', 'CLIPTextModelWithProjection'],
  unet: ['diffusers', 'UNet2DConditionModel'],
  vae: ['diffusers', 'AutoencoderKL'],
};

type Parts = Readonly<Record<'unet' | 'text' | 'vae' | 'scheduler', Readonly<JsonObject>>>;

/** Pipelines of U-Nets that take more than latents, by the number of their channels. */
const PIPELINES: Readonly<Record<number, string>> = {
  5: 'StableDiffusionDepth2ImgPipeline',
  7: 'StableDiffusionUpscalePipeline',
  8: 'StableDiffusionInstructPix2PixPipeline',
  9: 'StableDiffusionInpaintPipeline',
};

function stableDiffusion(title: string, { unet, text, vae, scheduler }: Parts, pad = END): PublishedModel {
  return {
    title,
    files: {
      'model_index.json': {
        _class_name: PIPELINES[Number(unet.in_channels)] ?? 'StableDiffusionPipeline',
        _diffusers_version: '0.6.0',
        scheduler: ['diffusers', scheduler._class_name],
        text_encoder: CLASSES.text,
        tokenizer: CLASSES.tokenizer,
        unet: CLASSES.unet,
        vae: CLASSES.vae,
      },
      'scheduler/scheduler_config.json': scheduler,
      'text_encoder/config.json': text,
      'unet/config.json': unet,
      'vae/config.json': vae,
    },
    padTokens: { tokenizer: pad },
  };
}

function stableDiffusionXL(title: string, unet: Readonly<JsonObject>): PublishedModel {
  const isRefiner = unet.cross_attention_dim === CLIP_G_TEXT.hidden_size;
  const kind = isRefiner ? 'Img2Img' : unet.in_channels === 9 ? 'Inpaint' : '';
  return {
    title,
    files: {
      'model_index.json': {
        _class_name: `StableDiffusionXL${kind}Pipeline`,
        _diffusers_version: '0.19.0.dev0',
        force_zeros_for_empty_prompt: !isRefiner,
        ...(isRefiner && { requires_aesthetics_score: true }),
        scheduler: ['diffusers', EULER_XL._class_name],
        ...(!isRefiner && { text_encoder: CLASSES.text, tokenizer: CLASSES.tokenizer }),
        text_encoder_2: CLASSES.projected,
        tokenizer_2: CLASSES.tokenizer,
        unet: CLASSES.unet,
        vae: CLASSES.vae,
      },
      'scheduler/scheduler_config.json': EULER_XL,
      ...(!isRefiner && { 'text_encoder/config.json': CLIP_L_TEXT }),
      'text_encoder_2/config.json': CLIP_G_TEXT,
      'unet/config.json': unet,
      'vae/config.json': KL_F8_XL,
    },
    padTokens: { ...(!isRefiner && { tokenizer: END }), tokenizer_2: '!' },
  };
}

const SD1 = { unet: SD15, text: CLIP_L_TEXT, vae: KL_F8, scheduler: PNDM };
const SD2 = { unet: SD21_BASE, text: CLIP_H_TEXT, vae: KL_F8, scheduler: PNDM };

/** The x4 upscaler: how its small pictures are noised goes with it. */
function upscaler(): PublishedModel {
  const parts = { unet: SD2_UPSCALER, text: CLIP_H_TEXT, vae: KL_F4, scheduler: DDIM_UPSCALER };
  const { files, ...model } = stableDiffusion("Stable Diffusion 2's x4 upscaler", parts, '!');
  const own = { low_res_scheduler: ['diffusers', DDPM_LOW_RES._class_name], max_noise_level: 350 };
  return {
    ...model,
    files: {
      ...files,
      'model_index.json': { ...files['model_index.json'], ...own },
      'low_res_scheduler/scheduler_config.json': DDPM_LOW_RES,
    },
  };
}

/** The published models whose single files are read. */
export const PUBLISHED = {
  sd1: stableDiffusion('Stable Diffusion 1.x', SD1),
  'sd1-inpaint': stableDiffusion('Stable Diffusion 1.x inpainting', {
    ...SD1,
    unet: { ...SD15, in_channels: 9 },
  }),
  'sd1-pix2pix': stableDiffusion('InstructPix2Pix', {
    ...SD1,
    unet: { ...SD15, in_channels: 8 },
    scheduler: EULER_A,
  }),
  'sd2-base': stableDiffusion('Stable Diffusion 2.x base', SD2, '!'),
  sd2: stableDiffusion(
    'Stable Diffusion 2.x',
    {
      ...SD2,
      unet: { ...SD21_BASE, sample_size: 96 },
      vae: { ...KL_F8, sample_size: 768 },
      scheduler: DDIM_V,
    },
    '!',
  ),
  'sd2-inpaint': stableDiffusion(
    'Stable Diffusion 2.x inpainting',
    { ...SD2, unet: { ...SD21_BASE, in_channels: 9 } },
    '!',
  ),
  'sd2-depth': stableDiffusion(
    'Stable Diffusion 2 depth',
    { ...SD2, unet: { ...SD21_BASE, in_channels: 5 } },
    '!',
  ),
  'sd2-upscaler': upscaler(),
  sdxl: stableDiffusionXL('SDXL', SDXL),
  'sdxl-inpaint': stableDiffusionXL('SDXL inpainting', { ...SDXL, in_channels: 9 }),
  'sdxl-refiner': stableDiffusionXL('the SDXL refiner', SDXL_REFINER),
  svd: {
    title: 'Stable Video Diffusion',
    files: {
      'model_index.json': {
        _class_name: 'StableVideoDiffusionPipeline',
        _diffusers_version: '0.24.0.dev0',
        image_encoder: ['transformers', 'CLIPVisionModelWithProjection'],
        scheduler: ['diffusers', EULER_VIDEO._class_name],
        unet: ['diffusers', 'UNetSpatioTemporalConditionModel'],
        vae: ['diffusers', 'AutoencoderKLTemporalDecoder'],
      },
      'image_encoder/config.json': CLIP_H_VISION,
      'scheduler/scheduler_config.json': EULER_VIDEO,
      // XT's; the first version has 14, which its weights do not tell.
      'unet/config.json': { ...SVD, num_frames: 25 },
      'vae/config.json': KL_F8_TEMPORAL,
    },
    padTokens: {},
  },
} as const satisfies Readonly<Record<string, PublishedModel>>;

export type PublishedName = keyof typeof PUBLISHED;

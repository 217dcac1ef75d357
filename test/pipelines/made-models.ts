import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../lib/native/binding.js';
import { finish } from '../../lib/native/device.js';
import type { ModelKind } from '../../lib/native/types.js';
import { FOLDER } from './tiny.js';

// Model folders with synthetic weights, for configurations that no fixture has.

export interface MadeModel {
  /** Fields of model_index.json. */
  readonly index?: object;
  /** Fields of the U-Net's configuration that differ from the fixture's. */
  readonly unet?: object;
  /** The whole of scheduler_config.json. */
  readonly scheduler?: object;
}

/** The fixture's model (SD 1.5) with another U-Net. */
export async function writeSd(folder: string, { index, unet, scheduler }: MadeModel): Promise<string> {
  cpSync(FOLDER, folder, { recursive: true });
  writeJson(join(folder, 'model_index.json'), { ...json(`${FOLDER}/model_index.json`), ...index });
  if (scheduler) writeJson(join(folder, 'scheduler/scheduler_config.json'), scheduler);
  if (unet) await writePart(folder, 'unet', 'unet', { ...json(`${FOLDER}/unet/config.json`), ...unet });
  return folder;
}

/** The x4 upscaler's architecture with few channels; what is given is put over the fields of its files. */
export async function writeUpscaler(
  folder: string,
  { index, unet, vae, lowRes }: Pick<MadeModel, 'index' | 'unet'> & { vae?: object; lowRes?: object } = {},
): Promise<string> {
  await writeSd(folder, {
    index: {
      _class_name: 'StableDiffusionUpscalePipeline',
      scheduler: ['diffusers', 'DDIMScheduler'],
      low_res_scheduler: ['diffusers', 'DDPMScheduler'],
      max_noise_level: 350,
      ...index,
    },
    unet: {
      down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
      up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
      block_out_channels: [16, 32, 32],
      in_channels: 7,
      num_class_embeds: 1000,
      only_cross_attention: [true, true, false],
      use_linear_projection: true,
      ...unet,
    },
    scheduler: {
      _class_name: 'DDIMScheduler',
      beta_end: 0.02,
      beta_schedule: 'scaled_linear',
      clip_sample: false,
      set_alpha_to_one: false,
      steps_offset: 1,
    },
  });
  const three = (kind: string) => new Array<string>(3).fill(kind);
  await writePart(folder, 'vae', 'vae', {
    ...json(`${FOLDER}/vae/config.json`),
    block_out_channels: [8, 16, 16],
    down_block_types: three('DownEncoderBlock2D'),
    up_block_types: three('UpDecoderBlock2D'),
    scaling_factor: 0.08333,
    ...vae,
  });
  mkdirSync(join(folder, 'low_res_scheduler'));
  writeJson(join(folder, 'low_res_scheduler/scheduler_config.json'), {
    _class_name: 'DDPMScheduler',
    beta_schedule: 'squaredcos_cap_v2',
    ...lowRes,
  });
  return folder;
}

/** SDXL's architecture with few channels. */
export async function writeXl(folder: string, { index, unet, scheduler }: MadeModel = {}): Promise<string> {
  const text = { ...json(`${FOLDER}/text_encoder/config.json`), eos_token_id: 999 };
  await writeSd(folder, {
    index: {
      _class_name: 'StableDiffusionXLPipeline',
      tokenizer_2: ['transformers', 'CLIPTokenizer'],
      text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'],
      ...index,
    },
    unet: {
      down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
      up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
      block_out_channels: [16, 32, 32],
      attention_head_dim: [2, 4, 4],
      transformer_layers_per_block: [1, 1, 2],
      use_linear_projection: true,
      cross_attention_dim: 64,
      addition_embed_type: 'text_time',
      addition_time_embed_dim: 8,
      projection_class_embeddings_input_dim: 6 * 8 + 32,
      ...unet,
    },
    ...(scheduler && { scheduler }),
  });
  cpSync(`${FOLDER}/tokenizer`, join(folder, 'tokenizer_2'), { recursive: true });
  await writePart(folder, 'text_encoder_2', 'text_encoder', {
    ...text,
    architectures: ['CLIPTextModelWithProjection'],
  });
  return folder;
}

export async function writePart(
  folder: string,
  part: string,
  kind: ModelKind,
  config: object,
): Promise<void> {
  const place = join(folder, part);
  mkdirSync(place, { recursive: true });
  writeJson(join(place, 'config.json'), config);
  const tensors = native().weightShapes(kind, JSON.stringify(config));
  const file = /encoder$/.test(kind) ? 'model.safetensors' : 'diffusion_pytorch_model.safetensors';
  await finish(() => native().writeSynthetic({ path: join(place, file), tensors, dtype: 'float32' }));
}

export const json = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
export const writeJson = (path: string, value: object) => writeFileSync(path, JSON.stringify(value));

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../lib/native/binding.js';
import { finish } from '../../lib/native/device.js';
import { json, writeJson, writePart, writeXl } from '../pipelines/made-models.js';

// Folders of systems that are no variant of Stable Diffusion, with few channels and synthetic weights.

/** SDXL's refiner: the second text encoder alone, and aesthetic scores. */
export async function writeRefiner(folder: string): Promise<string> {
  await writeXl(folder, {
    index: {
      _class_name: 'StableDiffusionXLImg2ImgPipeline',
      requires_aesthetics_score: true,
      text_encoder: [null, null],
      tokenizer: [null, null],
    },
    unet: { cross_attention_dim: 32, projection_class_embeddings_input_dim: 5 * 8 + 32 },
  });
  for (const part of ['text_encoder', 'tokenizer']) rmSync(join(folder, part), { recursive: true });
  return folder;
}

export async function writeDdpm(folder: string): Promise<string> {
  mkdirSync(join(folder, 'scheduler'), { recursive: true });
  writeJson(join(folder, 'model_index.json'), {
    _class_name: 'DDPMPipeline',
    scheduler: ['diffusers', 'DDPMScheduler'],
    unet: ['diffusers', 'UNet2DModel'],
  });
  writeJson(join(folder, 'scheduler/scheduler_config.json'), { _class_name: 'DDPMScheduler' });
  await writePart(folder, 'unet', 'unet', {
    _class_name: 'UNet2DModel',
    sample_size: 16,
    in_channels: 3,
    out_channels: 3,
    freq_shift: 1,
    flip_sin_to_cos: false,
    down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
    up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
    block_out_channels: [16, 32],
    layers_per_block: 2,
    norm_num_groups: 8,
    attention_head_dim: null,
    downsample_padding: 0,
  });
  return folder;
}

export async function writeVideo(folder: string): Promise<string> {
  mkdirSync(join(folder, 'scheduler'), { recursive: true });
  writeJson(join(folder, 'model_index.json'), {
    _class_name: 'StableVideoDiffusionPipeline',
    image_encoder: ['transformers', 'CLIPVisionModelWithProjection'],
    scheduler: ['diffusers', 'EulerDiscreteScheduler'],
    unet: ['diffusers', 'UNetSpatioTemporalConditionModel'],
    vae: ['diffusers', 'AutoencoderKLTemporalDecoder'],
  });
  writeJson(join(folder, 'scheduler/scheduler_config.json'), {
    _class_name: 'EulerDiscreteScheduler',
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    beta_start: 0.00085,
    prediction_type: 'v_prediction',
    sigma_max: 700,
    sigma_min: 0.002,
    timestep_type: 'continuous',
    use_karras_sigmas: true,
  });
  await writePart(folder, 'unet', 'unet', {
    _class_name: 'UNetSpatioTemporalConditionModel',
    sample_size: 8,
    in_channels: 8,
    out_channels: 4,
    down_block_types: ['CrossAttnDownBlockSpatioTemporal', 'DownBlockSpatioTemporal'],
    up_block_types: ['UpBlockSpatioTemporal', 'CrossAttnUpBlockSpatioTemporal'],
    block_out_channels: [32, 32],
    addition_time_embed_dim: 8,
    projection_class_embeddings_input_dim: 24,
    layers_per_block: 2,
    cross_attention_dim: 32,
    transformer_layers_per_block: 1,
    num_attention_heads: [2, 2],
    num_frames: 2,
  });
  await writePart(folder, 'vae', 'vae', {
    ...{ _class_name: 'AutoencoderKLTemporalDecoder', in_channels: 3, out_channels: 3 },
    down_block_types: Array.from({ length: 4 }, () => 'DownEncoderBlock2D'),
    block_out_channels: [32, 32, 32, 32],
    layers_per_block: 1,
    latent_channels: 4,
    sample_size: 64,
    scaling_factor: 0.18215,
    force_upcast: true,
  });
  await writePart(folder, 'image_encoder', 'image_encoder', {
    model_type: 'clip_vision_model',
    architectures: ['CLIPVisionModelWithProjection'],
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    image_size: 32,
    patch_size: 8,
    projection_dim: 32,
  });
  return folder;
}

/** Latent diffusion with classes, as the original code's checkpoints have it: all networks in one file. */
export async function writeLdm(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const [classes, width] = [5, 16];
  const config = {
    target: 'ldm.models.diffusion.ddpm.LatentDiffusion',
    params: {
      ...{ linear_start: 0.0015, linear_end: 0.0195, timesteps: 1000, image_size: 8, channels: 3 },
      unet_config: {
        target: 'ldm.modules.diffusionmodules.openaimodel.UNetModel',
        params: {
          ...{ image_size: 8, in_channels: 3, out_channels: 3, model_channels: 32, num_res_blocks: 2 },
          ...{
            attention_resolutions: [2],
            channel_mult: [1, 2],
            num_heads: 1,
            use_spatial_transformer: true,
          },
          ...{ transformer_depth: 1, context_dim: width },
        },
      },
      first_stage_config: {
        target: 'ldm.models.autoencoder.VQModelInterface',
        params: {
          ...{ embed_dim: 3, n_embed: 8 },
          ddconfig: {
            ...{ double_z: false, z_channels: 3, resolution: 32, in_channels: 3, out_ch: 3, ch: 32 },
            ...{ ch_mult: [1, 1, 1], num_res_blocks: 1, attn_resolutions: [], dropout: 0 },
          },
        },
      },
      cond_stage_config: {
        target: 'ldm.modules.encoders.modules.ClassEmbedder',
        params: { n_classes: classes, embed_dim: width, key: 'class_label' },
      },
    },
  };
  writeJson(join(folder, 'config.json'), config);
  const text = JSON.stringify(config);
  const tensors = [
    ...native().weightShapes('unet', text),
    ...native().weightShapes('vae', text),
    { name: 'cond_stage_model.embedding.weight', shape: [classes, width] },
  ];
  const path = join(folder, 'model.safetensors');
  await finish(() => native().writeSynthetic({ path, tensors, dtype: 'float32' }));
  return folder;
}

/** A ControlNet for the U-Net in a folder; `fields` are put over its configuration. */
export async function writeControlNet(
  model: string,
  folder: string,
  name: string,
  fields: object = {},
): Promise<string> {
  const { up_block_types: _, out_channels: __, ...unet } = json(join(model, 'unet/config.json'));
  await writePart(folder, name, 'unet', {
    ...unet,
    _class_name: 'ControlNetModel',
    in_channels: 4,
    conditioning_embedding_out_channels: [4, 8, 12, 16],
    ...fields,
  });
  return join(folder, name);
}

/** One that takes pictures of six kinds. */
export function writeControlUnion(model: string, folder: string, name: string): Promise<string> {
  const { block_out_channels: channels } = json(join(model, 'unet/config.json'));
  const [width] = channels as number[];
  return writeControlNet(model, folder, name, {
    _class_name: 'ControlNetUnionModel',
    num_control_type: 6,
    num_trans_channel: width,
    num_proj_channel: width,
    num_trans_head: 2,
    addition_time_embed_dim: 8,
  });
}

/** A T2I-Adapter for the U-Net in a folder: that of SDXL ends with the mid block's. */
export async function writeT2IAdapter(model: string, folder: string, name: string): Promise<string> {
  const { block_out_channels: channels, addition_embed_type: added } = json(join(model, 'unet/config.json'));
  const levels = channels as number[];
  const isXl = added === 'text_time';
  await writePart(folder, name, 't2i_adapter', {
    _class_name: 'T2IAdapter',
    adapter_type: isXl ? 'full_adapter_xl' : 'full_adapter',
    in_channels: 3,
    channels: isXl ? [...levels, levels.at(-1)] : levels,
    num_res_blocks: 2,
    downscale_factor: isXl ? 16 : 8,
  });
  return join(folder, name);
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crossAttentions } from '../../lib/ip-adapter/read.js';
import type { UNetModel } from '../../lib/models/unet.js';
import { native } from '../../lib/native/binding.js';
import { finish } from '../../lib/native/device.js';
import { type AdapterFolder, type Tensors, values } from '../adapters/adapter-files.js';

const EMBEDS = 24;
const TOKENS = 4;

interface WithUnet {
  readonly unet: UNetModel;
}

/** A base adapter for a pipeline's U-Net with made-up weights. */
export function writeBase(folder: AdapterFolder, name: string, pipe: WithUnet, seed = 1): string {
  const width = pipe.unet.contextWidth;
  return folder.write(name, {
    'image_proj.proj.weight': values([TOKENS * width, EMBEDS], seed, 0.5),
    'image_proj.proj.bias': values([TOKENS * width], seed + 1),
    'image_proj.norm.weight': values([width], seed + 2, 2),
    'image_proj.norm.bias': values([width], seed + 3),
    ...layers(pipe, seed),
  });
}

/** A Plus adapter: two layers, one head. */
export function writePlus(folder: AdapterFolder, name: string, pipe: WithUnet): string {
  const [inner, heads, width] = [16, 64, pipe.unet.contextWidth];
  const tensors: Tensors = {
    'image_proj.latents': values([1, TOKENS, inner], 1, 2),
    'image_proj.proj_in.weight': values([inner, 32], 2),
    'image_proj.proj_in.bias': values([inner], 3),
    'image_proj.proj_out.weight': values([width, inner], 4),
    'image_proj.proj_out.bias': values([width], 5),
    'image_proj.norm_out.weight': values([width], 6, 2),
    'image_proj.norm_out.bias': values([width], 7),
    ...layers(pipe, 9),
  };
  for (const layer of ['image_proj.layers.0', 'image_proj.layers.1']) {
    for (const norm of ['0.norm1', '0.norm2', '1.0']) {
      tensors[`${layer}.${norm}.weight`] = values([inner], 8, 2);
      tensors[`${layer}.${norm}.bias`] = values([inner], 9);
    }
    tensors[`${layer}.0.to_q.weight`] = values([heads, inner], 10);
    tensors[`${layer}.0.to_kv.weight`] = values([2 * heads, inner], 11);
    tensors[`${layer}.0.to_out.weight`] = values([inner, heads], 12);
    tensors[`${layer}.1.1.weight`] = values([64, inner], 13);
    tensors[`${layer}.1.3.weight`] = values([inner, 64], 14);
  }
  return folder.write(name, tensors);
}

function layers(pipe: WithUnet, seed: number): Tensors {
  const attentions = crossAttentions(pipe.unet.weightShapes());
  const groups = ['down_blocks', 'up_blocks', 'mid_block'];
  const ordered = groups.flatMap((group) => attentions.filter(({ name }) => name.startsWith(group)));
  return Object.fromEntries(
    ordered.flatMap(({ channels, width }, i) =>
      ['to_k_ip', 'to_v_ip'].map((product, j) => [
        `ip_adapter.${2 * i + 1}.${product}.weight`,
        values([channels, width], seed + 20 + 2 * i + j),
      ]),
    ),
  );
}

/** A small CLIP image encoder with made-up weights. */
export async function writeEncoder(folder: AdapterFolder): Promise<string> {
  const path = join(folder.path, 'image_encoder');
  const config = JSON.stringify({
    model_type: 'clip_vision_model',
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    image_size: 32,
    patch_size: 8,
    projection_dim: EMBEDS,
  });
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'config.json'), config);
  const tensors = native().weightShapes('image_encoder', config);
  const file = join(path, 'model.safetensors');
  await finish(() => native().writeSynthetic({ path: file, tensors, dtype: 'float32' }));
  return path;
}

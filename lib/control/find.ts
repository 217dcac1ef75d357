import { basename } from 'node:path';
import { DeepCacheError } from '../errors.js';
import type { JsonObject } from '../files/json.js';
import { isFolder } from '../files/read.js';
import { type FindOptions, findModel, type NetworkFiles } from '../models/model-files.js';
import { Checkpoint } from '../models/single-file/checkpoint.js';
import { type Naming, prefixed, sameNames } from '../models/single-file/place.js';
import { ldmUnetNames } from '../models/single-file/unet-names.js';
import { native } from '../native/binding.js';

const ORIGINAL = 'control_model.';

/**
 * The configuration and the weights of a ControlNet: a folder in the diffusers layout, or a single file with the names
 * of diffusers or of the original code, whose configuration its weights tell.
 *
 * @param unet configuration of the U-Net that it goes with.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for a file that is no ControlNet.
 */
export async function findControlNet(
  place: string,
  options: FindOptions & { unet?: Readonly<JsonObject> | undefined } = {},
): Promise<NetworkFiles> {
  if (isFolder(place)) return findModel(place, 'diffusion_pytorch_model', options);
  const checkpoint = await Checkpoint.open(place, options);
  const prefix = checkpoint.hasPrefix(ORIGINAL) ? ORIGINAL : '';
  const isOriginal = checkpoint.has(`${prefix}input_hint_block.0.weight`);
  if (!isOriginal && !checkpoint.has('controlnet_cond_embedding.conv_in.weight')) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_WEIGHTS',
      `${place} is no ControlNet: it holds neither input_hint_block nor controlnet_cond_embedding`,
    );
  }
  const value = {
    ...encoderOf(options.unet ?? {}),
    ...hintOf(checkpoint, prefix, isOriginal),
    ...unionOf(checkpoint),
    ...poolingOf(place, options.log),
  };
  const layers = typeof value.layers_per_block === 'number' ? value.layers_per_block : 2;
  const naming = isOriginal ? prefixed(prefix, originalNames(layers)) : sameNames;
  const text = JSON.stringify(value);
  const wanted = native().weightShapes('unet', text);
  return checkpoint.network({ path: place, text, value }, checkpoint.tableOf(wanted, naming, 'ControlNet'));
}

/** What a ControlNet has of its U-Net: everything but the up path. */
function encoderOf(unet: Readonly<JsonObject>): JsonObject {
  const { up_block_types: _, out_channels: __, ...rest } = unet;
  return { ...rest, in_channels: 4, _class_name: 'ControlNetModel' };
}

/** The published shuffle model gives means; nothing but its file's name says so, as in the original code. */
function poolingOf(place: string, log: FindOptions['log']): JsonObject {
  if (!/shuffle/i.test(basename(place))) return {};
  log?.(
    `${place}: its name says shuffle: its outputs count as their means over all pixels (global_pool_conditions)`,
  );
  return { global_pool_conditions: true };
}

/** What its weights say of the part that sees the picture. */
function hintOf(checkpoint: Checkpoint, prefix: string, isOriginal: boolean): JsonObject {
  const shape = (i: number) =>
    checkpoint.find(
      isOriginal
        ? `${prefix}input_hint_block.${2 * i}.weight`
        : `controlnet_cond_embedding.${i === 0 ? 'conv_in' : `blocks.${i - 1}`}.weight`,
    )?.shape ?? [];
  const channels: number[] = [];
  // Pairs of convolutions between the first and the last, of which the second halves the size.
  const [first, inputs = 3] = shape(0);
  channels.push(first ?? 0);
  for (let i = 2; ; i += 2) {
    const [out] = shape(i);
    if (out === undefined || (isOriginal && shape(i + 1).length === 0)) break;
    channels.push(out);
  }
  return { conditioning_channels: inputs, conditioning_embedding_out_channels: channels };
}

/** What its weights say of the transformer that looks at several kinds of pictures. */
function unionOf(checkpoint: Checkpoint): JsonObject {
  const [kinds, width] = checkpoint.find('task_embedding')?.shape ?? [];
  if (kinds === undefined || width === undefined) return {};
  let layers = 0;
  while (checkpoint.has(`transformer_layes.${layers}.ln_1.weight`)) layers++;
  return {
    _class_name: 'ControlNetUnionModel',
    num_control_type: kinds,
    num_trans_channel: width,
    num_trans_head: 8,
    num_trans_layer: layers,
    num_proj_channel: checkpoint.find('spatial_ch_projs.weight')?.shape[0] ?? width,
  };
}

/** diffusers' names in those of lllyasviel's ControlNet code. */
function originalNames(layers: number): Naming {
  const encoder = ldmUnetNames({ layers, upAttends: [] });
  return (name) => {
    const [, hint, block, ending] =
      /^controlnet_cond_embedding\.(conv_in|conv_out|blocks)(?:\.(\d+))?\.(weight|bias)$/.exec(name) ?? [];
    if (hint === 'conv_in') return { key: `input_hint_block.0.${ending}` };
    if (hint === 'conv_out') return { key: `input_hint_block.14.${ending}` };
    if (hint) return { key: `input_hint_block.${2 * Number(block) + 2}.${ending}` };
    const [, skip, rest] = /^controlnet_down_blocks\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (skip !== undefined) return { key: `zero_convs.${skip}.0.${rest}` };
    if (name.startsWith('controlnet_mid_block.')) {
      return { key: name.replace('controlnet_mid_block.', 'middle_block_out.0.') };
    }
    return encoder(name);
  };
}

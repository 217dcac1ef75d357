import { PUBLISHED, type PublishedName } from '../../configs/published.js';
import { SD15, SD21_BASE, SDXL, SDXL_REFINER } from '../../configs/unets.js';
import { DeepCacheError, invalidConfig } from '../../errors.js';
import type { Checkpoint } from './checkpoint.js';
import { layoutOf } from './layouts.js';
import { tinyConfigOf } from './tiny-vae.js';

/** What no pipeline of the package computes, and what distinguishes it. */
const OTHERS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['a Stable Diffusion 3 model', /(?:^|\.)joint_blocks\.\d/],
  ['a Flux model', /(?:^|\.)double_blocks\.\d/],
  ['a PixArt model', /(?:^|\.)adaln_single\./],
  ['a Stable Cascade model', /(?:^|\.)clip_txt_mapper\./],
  ['an unCLIP model (Stable unCLIP)', /^noise_augmentor\./],
  ['a Zero123 model', /^cc_projection\./],
];

/** What goes with a U-Net, whose names some of it has. */
const BESIDE_UNETS: readonly (readonly [what: string, pattern: RegExp])[] = [
  [
    'a ControlNet, no model; it is given to one by the option controlNet (--control-net)',
    /^(?:control_model|controlnet_cond_embedding|input_hint_block)\./,
  ],
  [
    'a T2I-Adapter, no model; it is given to one by the option t2iAdapter (--t2i-adapter)',
    /^(?:adapter\.)?body\.\d+\.(?:resnets|block1)\./,
  ],
  ['an IP-Adapter, no model; it is loaded into one (--ip-adapter)', /^(?:ip_adapter|image_proj)\./],
  [
    'a motion module of AnimateDiff, no model; it is given to one by the option motionAdapter (--motion-adapter)',
    /(?:^|\.)motion_modules\./,
  ],
];

/** Adapters and embeddings, which are no models. */
const NO_MODELS: readonly (readonly [what: string, pattern: RegExp])[] = [
  [
    'a LoRA, no model; it is loaded into one',
    /(?:^|[._])lora(?:[._]|$)|\.hada_w|\.lokr_w|\.lora_A\.|\.[ab]1\.weight$/,
  ],
  ['a textual inversion, no model; it is loaded into one', /^(?:emb_params|string_to_param\b.*|clip_[lg])$/],
];

type Base = 'sd1' | 'sd2' | 'sdxl' | 'sdxl-refiner';

/** Models by the channels of their U-Nets: what they are of each base, and what those channels are for. */
const BY_CHANNELS: Readonly<
  Record<number, { what: string; of: Readonly<Partial<Record<Base, PublishedName>>> }>
> = {
  4: { what: 'latents', of: { sd1: 'sd1', sd2: 'sd2', sdxl: 'sdxl', 'sdxl-refiner': 'sdxl-refiner' } },
  5: { what: 'a depth map', of: { sd2: 'sd2-depth' } },
  7: { what: 'a picture', of: { sd2: 'sd2-upscaler' } },
  8: { what: "a picture's latents (as InstructPix2Pix)", of: { sd1: 'sd1-pix2pix' } },
  9: {
    what: 'a mask and a picture',
    of: { sd1: 'sd1-inpaint', sd2: 'sd2-inpaint', sdxl: 'sdxl-inpaint' },
  },
};

/**
 * Which published model a checkpoint is like, from the names and shapes of its tensors; undefined where its U-Net alone
 * does not tell.
 *
 * @param isDescribed whether it has a configuration, which says more.
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED naming a model that no pipeline here computes,
 * ERR_DEEPCACHE_INVALID_CONFIG for a file without a U-Net.
 */
export function kindOf(checkpoint: Checkpoint, isDescribed = false): PublishedName | undefined {
  const { path } = checkpoint;
  for (const [name, pattern] of OTHERS) if (checkpoint.some(pattern)) throw unsupported(path, name);
  for (const [what, pattern] of BESIDE_UNETS)
    if (checkpoint.some(pattern)) throw invalidConfig(path, `is ${what}`);
  const layout = layoutOf(checkpoint, 'unet');
  if (!layout) throw noUnet(checkpoint);
  const unet = (pattern: string) => new RegExp(`^${layout.prefix.replaceAll('.', '\\.')}${pattern}`);
  if (checkpoint.some(unet('.*(?:time_stack|temporal_transformer_blocks)\\.'))) return 'svd';
  const [, channels] = firstShape(checkpoint) ?? [];
  const isXL = checkpoint.some(unet('(?:label_emb\\.0\\.0|add_embedding\\.linear_1)\\.weight$'));
  const base = isXL ? xlKind(checkpoint, layout.prefix) : sdKind(checkpoint, layout.prefix);
  const kinds = channels === undefined ? undefined : BY_CHANNELS[channels];
  const kind = base && kinds?.of[base];
  if (kind || isDescribed) return kind;
  if (!kinds) {
    throw unsupported(path, `a model whose U-Net takes ${channels ?? 'an unknown number of'} channels`);
  }
  if (base === undefined) return undefined;
  throw unsupported(
    path,
    `a model like ${PUBLISHED[base].title} whose U-Net takes ${kinds.what} beside the latents`,
  );
}

function sdKind(checkpoint: Checkpoint, prefix: string): Base | undefined {
  const width = contextWidth(checkpoint, prefix);
  if (width === SD15.cross_attention_dim) return 'sd1';
  if (width === SD21_BASE.cross_attention_dim) return 'sd2';
  if (checkpoint.hasPrefix('cond_stage_model.model.')) return 'sd2';
  return checkpoint.hasPrefix('cond_stage_model.transformer.') ? 'sd1' : undefined;
}

function xlKind(checkpoint: Checkpoint, prefix: string): Base {
  const width = contextWidth(checkpoint, prefix);
  if (width === SDXL.cross_attention_dim) return 'sdxl';
  if (width === SDXL_REFINER.cross_attention_dim) return 'sdxl-refiner';
  return checkpoint.hasPrefix('conditioner.embedders.0.model.') ? 'sdxl-refiner' : 'sdxl';
}

/** [out, in, ...] of the U-Net's first convolution. */
export function firstShape(checkpoint: Checkpoint): readonly number[] | undefined {
  const prefix = layoutOf(checkpoint, 'unet')?.prefix ?? '';
  return ['input_blocks.0.0', 'conv_in']
    .map((name) => checkpoint.find(`${prefix}${name}.weight`)?.shape)
    .find((shape) => shape !== undefined);
}

/** What its cross attention reads. */
function contextWidth(checkpoint: Checkpoint, prefix: string): number | undefined {
  for (const [name, { shape }] of checkpoint.tensors)
    if (name.startsWith(prefix) && name.endsWith('.attn2.to_k.weight')) return shape[1];
  return undefined;
}

function unsupported(path: string, name: string): DeepCacheError {
  const known = Object.values(PUBLISHED).map(({ title }) => title);
  return new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `${path} is ${name}, which this version does not have; single files are read of ${known.join(', ')}`,
  );
}

/** The error for a file that is no model: what it is, and what to do with it. */
function noUnet(checkpoint: Checkpoint): DeepCacheError {
  const { path } = checkpoint;
  const adapter = NO_MODELS.find(([, pattern]) => checkpoint.some(pattern));
  if (adapter) return invalidConfig(path, `is ${adapter[0]}`);
  const has = (part: string) => layoutOf(checkpoint, part) !== undefined;
  if (has('vae') || tinyConfigOf(checkpoint))
    return invalidConfig(path, 'is an autoencoder alone: give it to a model by the option vae (--vae)');
  for (const [part, option, flag] of [
    ['text_encoder', 'textEncoder', '--text-encoder'],
    ['text_encoder_2', 'textEncoder2', '--text-encoder-2'],
  ] as const) {
    if (has(part)) {
      return invalidConfig(
        path,
        `is a text encoder alone: give it to a model by the option ${option} (${flag})`,
      );
    }
  }
  return invalidConfig(path, 'holds no U-Net under the names of LDM, SGM or diffusers: it is no model');
}

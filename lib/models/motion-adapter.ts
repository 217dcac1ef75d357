import { DeepCacheError, invalidConfig, invalidWeights } from '../errors.js';
import { isFolder } from '../files/read.js';
import type { TensorSource } from '../native/types.js';
import { openWeights } from '../weights/open.js';
import { type FindOptions, findModel, type NetworkFiles } from './model-files.js';

/** Motion modules for the U-Net of an image model (diffusers' MotionAdapter). */
export interface MotionAdapter {
  /** Its folder or file, for messages. */
  readonly place: string;
  /** Fields of diffusers' UNetMotionModel. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Under diffusers' names. */
  readonly tensors: readonly TensorSource[];
  readonly stamps: NonNullable<NetworkFiles['stamps']>;
}

/** Fields of a MotionAdapter, and what a UNetMotionModel calls them. */
const FIELDS = {
  motion_num_attention_heads: 'motion_num_attention_heads',
  motion_max_seq_length: 'motion_max_seq_length',
  use_motion_mid_block: 'use_motion_mid_block',
  motion_transformer_layers_per_block: 'temporal_transformer_layers_per_block',
  motion_transformer_layers_per_mid_block: 'temporal_transformer_layers_per_mid_block',
} as const;

/** Parts of the original code's names, and diffusers' for them. */
const RENAMED = [
  ['.temporal_transformer.', '.'],
  ['.attention_blocks.0.pos_encoder.', '.pos_embed.'],
  ['.attention_blocks.0.', '.attn1.'],
  ['.attention_blocks.1.', '.attn2.'],
  ['.norms.0.', '.norm1.'],
  ['.norms.1.', '.norm2.'],
  ['.ff_norm.', '.norm3.'],
] as const;

const MODULE = /(?:^|\.)((?:(?:down|up)_blocks\.\d+|mid_block)\.motion_modules\.\d+\..+)$/;
const TABLE = /\.pos_embed\.pe$/;

/**
 * Reads a motion adapter: a folder in diffusers' layout, or a file as AnimateDiff's authors published them (v1, v2, v3),
 * safetensors or a pickle.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG, ERR_DEEPCACHE_INVALID_WEIGHTS, ERR_DEEPCACHE_UNSUPPORTED
 */
export async function readMotionAdapter(place: string, options: FindOptions = {}): Promise<MotionAdapter> {
  const { signal, log } = options;
  const folder = isFolder(place)
    ? await findModel(place, 'diffusion_pytorch_model', options)
    : { files: [place], config: undefined };
  const tensors: TensorSource[] = [];
  const stamps = new Map();
  for (const path of folder.files) {
    const file = await openWeights(path, { signal, log });
    stamps.set(path, file.stamp);
    for (const tensor of file.tensors) {
      const name = nameOf(tensor.name);
      if (name !== undefined) tensors.push({ ...tensor, name, shape: shapeOf(name, tensor.shape) });
    }
  }
  const table = tensors.find(({ name }) => TABLE.test(name));
  if (!table) {
    throw invalidWeights(place, 'holds no motion modules with tables of positions (motion_modules.*)');
  }
  if (folder.config) requireSupported(place, folder.config);
  const [rows = 0] = table.shape;
  const known = folder.config ?? {
    motion_num_attention_heads: 8,
    motion_max_seq_length: rows,
    use_motion_mid_block: tensors.some(({ name }) => name.startsWith('mid_block.')),
  };
  const config = Object.entries(FIELDS).flatMap(([from, to]) => (from in known ? [[to, known[from]]] : []));
  return { place, config: Object.fromEntries(config), tensors, stamps };
}

/** Throws for a folder of something else, and for adapters that diffusers' UNetMotionModel cannot load either. */
function requireSupported(place: string, config: Readonly<Record<string, unknown>>): void {
  const path = `${place}/config.json`;
  if (config._class_name !== 'MotionAdapter') throw invalidConfig(path, 'is not that of a MotionAdapter');
  const layers = [config.motion_mid_block_layers_per_block ?? 1].flat();
  if (layers.some((count) => count !== 1)) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `${path}: "motion_mid_block_layers_per_block" must be 1, got ${JSON.stringify(layers)}`,
    );
  }
  if (config.conv_in_channels !== undefined && config.conv_in_channels !== null) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `${path}: adapters with a first convolution of their own ("conv_in_channels", PIA's) are not supported`,
    );
  }
}

/** The U-Net of an image model with motion modules (diffusers: UNetMotionModel.from_unet2d). */
export async function withMotion(
  unet: NetworkFiles,
  adapter: MotionAdapter,
  { signal, log }: Pick<FindOptions, 'signal' | 'log'> = {},
): Promise<NetworkFiles> {
  const read = [...(unet.tensors ?? [])];
  const stamps = new Map([...(unet.stamps ?? []), ...adapter.stamps]);
  for (const path of unet.tensors ? [] : unet.files) {
    const file = await openWeights(path, { signal, log });
    read.push(...file.tensors);
    stamps.set(path, file.stamp);
  }
  // One that has motion modules gets others.
  const own = read.filter(({ name }) => !MODULE.test(name));
  const inMotion = (types: unknown) =>
    Array.isArray(types) ? types.map((type) => String(type).replace(/2D$/, 'Motion')) : types;
  const config = {
    ...unet.config,
    ...adapter.config,
    _class_name: 'UNetMotionModel',
    down_block_types: inMotion(unet.config.down_block_types),
    up_block_types: inMotion(unet.config.up_block_types),
  };
  const files = [...unet.files, ...adapter.stamps.keys()];
  const tensors = [...own, ...adapter.tensors];
  return { ...unet, config, configText: JSON.stringify(config), files, tensors, stamps };
}

/** diffusers' name of a tensor of motion modules; undefined for others, and for the second copy of a table. */
function nameOf(stored: string): string | undefined {
  return stored.includes('.attention_blocks.1.pos_encoder.') ? undefined : motionName(stored);
}

/** diffusers' name of what belongs to a motion module, whatever stands before it; undefined for other names. */
export function motionName(stored: string): string | undefined {
  const name = MODULE.exec(stored)?.[1];
  return name && RENAMED.reduce((text, [from, to]) => text.replace(from, to), name);
}

/** Tables are stored as [1, frames, channels]. */
function shapeOf(name: string, shape: readonly number[]): readonly number[] {
  return TABLE.test(name) && shape.length === 3 && shape[0] === 1 ? shape.slice(1) : shape;
}

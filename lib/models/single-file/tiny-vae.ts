import type { JsonObject } from '../../files/json.js';
import type { JsonPart } from '../part-source.js';
import type { Checkpoint } from './checkpoint.js';
import type { Layout } from './layouts.js';
import { sameNames } from './place.js';

/** The layout of an AutoencoderTiny (TAESD) in diffusers' names. */
export const TINY_LAYOUT: Layout = {
  prefix: '',
  probe: 'decoder.layers.0.weight',
  naming: () => sameNames,
};

/** The layout of its decoder alone under the names of its authors (taesd_decoder.safetensors): plain numbers. */
const DECODER_LAYOUT: Layout = {
  prefix: '',
  probe: '1.weight',
  // The first of their layers limits latents, which is none of diffusers' layers.
  naming: () => (name) => {
    const [, number, rest] = /^decoder\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
    return { key: `${Number(number) + 1}.${rest}` };
  },
};

/** Blocks between the convolutions of a half, and the channels of its first and last one. */
interface Half {
  readonly blocks: readonly number[];
  readonly width: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** The configuration of an AutoencoderTiny, as its layers tell; undefined where a file holds none. */
export function tinyConfigOf(checkpoint: Checkpoint): JsonPart | undefined {
  const [encoder, decoder] = [halfOf(checkpoint, 'encoder.layers.'), halfOf(checkpoint, 'decoder.layers.')];
  if (!encoder || !decoder) return undefined;
  return configOf(checkpoint, decoder, encoder);
}

/** The same of a file that holds its decoder, by its authors' or by diffusers' names; with its layout. */
export function tinyDecoderOf(checkpoint: Checkpoint): { config: JsonPart; layout: Layout } | undefined {
  for (const [prefix, first, layout] of [
    ['decoder.layers.', 0, TINY_LAYOUT],
    ['', 1, DECODER_LAYOUT],
  ] as const) {
    const decoder = halfOf(checkpoint, prefix);
    if (!decoder || !checkpoint.has(`${prefix}${first}.weight`)) continue;
    return { config: configOf(checkpoint, decoder), layout };
  }
  return undefined;
}

function configOf(checkpoint: Checkpoint, decoder: Half, encoder?: Half): JsonPart {
  const value: JsonObject = {
    _class_name: 'AutoencoderTiny',
    in_channels: encoder?.inputs ?? 3,
    out_channels: decoder.outputs,
    latent_channels: decoder.inputs,
    encoder_block_out_channels: encoder?.blocks.map(() => encoder.width) ?? [],
    decoder_block_out_channels: decoder.blocks.map(() => decoder.width),
    num_encoder_blocks: [...(encoder?.blocks ?? [])],
    num_decoder_blocks: [...decoder.blocks],
    scaling_factor: 1,
  };
  return { path: checkpoint.path, text: JSON.stringify(value), value };
}

/** Half of a TAESD under the names of its authors (taesd_decoder.pth): plain numbers. */
export function isHalfOfTiny(checkpoint: Checkpoint): boolean {
  return ['0', '1'].some(
    (first) =>
      checkpoint.find(`${first}.weight`)?.shape.length === 4 &&
      checkpoint.some(/^\d+\.conv\.0\.weight$/) &&
      checkpoint.some(/^\d+\.conv\.4\.weight$/),
  );
}

// A half is a list of layers, numbered through: convolutions, and between them blocks of three.
function halfOf(checkpoint: Checkpoint, prefix: string): Half | undefined {
  const name = new RegExp(`^${prefix.replaceAll('.', '\\.')}(\\d+)\\.(conv\\.0\\.)?weight$`);
  const layers: { number: number; isBlock: boolean; shape: readonly number[] }[] = [];
  for (const [key, { shape }] of checkpoint.tensors) {
    const [, number, isBlock] = name.exec(key) ?? [];
    if (number !== undefined) layers.push({ number: Number(number), isBlock: isBlock !== undefined, shape });
  }
  layers.sort((a, b) => a.number - b.number);
  const blocks: number[] = [];
  for (const { isBlock } of layers) {
    if (!isBlock) blocks.push(0);
    else if (blocks.length > 0) blocks[blocks.length - 1] = (blocks.at(-1) as number) + 1;
  }
  const last = blocks.pop();
  const [first, end] = [layers[0]?.shape, layers.at(-1)?.shape];
  if (last !== 0 || blocks.length === 0 || first?.length !== 4 || !end) return undefined;
  return { blocks, width: first[0] as number, inputs: first[1] as number, outputs: end[0] as number };
}

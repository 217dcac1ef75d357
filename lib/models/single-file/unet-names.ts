import { type Naming, type Replacements, replaceModules } from './place.js';

/** What of a U-Net's configuration decides about the names of its tensors. */
export interface UnetStructure {
  /** Resnets of a block of the down path. */
  readonly layers: number;
  /** Whether the blocks of the up path have attention. */
  readonly upAttends: readonly boolean[];
}

export function unetStructure(config: Readonly<Record<string, unknown>>): UnetStructure {
  const { layers_per_block: layers = 2, up_block_types: types = [] } = config;
  return {
    layers: typeof layers === 'number' ? layers : 2,
    upAttends: Array.isArray(types) ? types.map((type) => /Attn/.test(String(type))) : [],
  };
}

const TOP: Replacements = [
  ['time_embedding.linear_1', 'time_embed.0'],
  ['time_embedding.linear_2', 'time_embed.2'],
  ['add_embedding.linear_1', 'label_emb.0.0'],
  ['add_embedding.linear_2', 'label_emb.0.2'],
  ['class_embedding.linear_1', 'label_emb.0.0'],
  ['class_embedding.linear_2', 'label_emb.0.2'],
  ['class_embedding', 'label_emb'],
  ['conv_in', 'input_blocks.0.0'],
  ['conv_norm_out', 'out.0'],
  ['conv_out', 'out.2'],
];

const RESNET: Replacements = [
  ['norm1', 'in_layers.0'],
  ['conv1', 'in_layers.2'],
  ['norm2', 'out_layers.0'],
  ['conv2', 'out_layers.3'],
  ['time_emb_proj', 'emb_layers.1'],
  ['conv_shortcut', 'skip_connection'],
  // Of videos, whose blocks hold one over space and one over time.
  ['temporal_res_block', 'time_stack'],
];

const ATTENTION: Replacements = [
  ['temporal_transformer_blocks', 'time_stack'],
  ['time_pos_embed.linear_1', 'time_pos_embed.0'],
  ['time_pos_embed.linear_2', 'time_pos_embed.2'],
];

/** diffusers' names of U-Nets (UNet2DConditionModel, UNetSpatioTemporalConditionModel) in those of LDM and SGM. */
export function ldmUnetNames({ layers, upAttends }: UnetStructure): Naming {
  return (name) => {
    const [, path, index, kind = '', i, rest = ''] =
      /^(down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.(\w+)\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (path === undefined) return { key: replaceModules(name, TOP) };
    const inner = innerName(kind, rest);
    if (path === 'mid_block') {
      return { key: `middle_block.${kind === 'attentions' ? 1 : 2 * Number(i)}.${inner}` };
    }
    const block = Number(index);
    // A sampler stands behind the resnets, or behind the last one and its attention.
    const isSampler = /samplers$/.test(kind);
    const layer = isSampler ? layers : Number(i);
    if (path === 'down_blocks') {
      const place = `input_blocks.${block * (layers + 1) + layer + 1}`;
      return {
        key: `${place}.${kind === 'attentions' ? 1 : 0}.${isSampler ? inner.replace('conv', 'op') : inner}`,
      };
    }
    const sampler = upAttends[block] ? 2 : 1;
    const place = kind === 'attentions' ? 1 : isSampler ? sampler : 0;
    return { key: `output_blocks.${block * (layers + 1) + Math.min(layer, layers)}.${place}.${inner}` };
  };
}

function innerName(kind: string, rest: string): string {
  if (kind === 'attentions') return replaceModules(rest, ATTENTION);
  return kind === 'resnets' ? replaceModules(rest.replace(/^spatial_res_block\./, ''), RESNET) : rest;
}

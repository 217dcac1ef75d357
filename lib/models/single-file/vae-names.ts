import { type Naming, type Place, type Replacements, replaceModules } from './place.js';

const MODULES: Replacements = [
  ['mid_block.attentions.0', 'mid.attn_1'],
  ['mid_block.resnets.0', 'mid.block_1'],
  ['mid_block.resnets.1', 'mid.block_2'],
  ['downsamplers.0', 'downsample'],
  ['upsamplers.0', 'upsample'],
  ['resnets', 'block'],
  ['conv_shortcut', 'nin_shortcut'],
  ['conv_norm_out', 'norm_out'],
  ['group_norm', 'norm'],
  ['to_q', 'q'],
  ['to_k', 'k'],
  ['to_v', 'v'],
  ['to_out.0', 'proj_out'],
];

/** Of videos: the part of a resnet that is over time, and the last convolution. */
const TEMPORAL: Replacements = [
  ['temporal_res_block.norm1', 'time_stack.in_layers.0'],
  ['temporal_res_block.conv1', 'time_stack.in_layers.2'],
  ['temporal_res_block.norm2', 'time_stack.out_layers.0'],
  ['temporal_res_block.conv2', 'time_stack.out_layers.3'],
  ['time_mixer.mix_factor', 'mix_factor'],
  ['time_conv_out', 'conv_out.time_mix_conv'],
];

const LINEAR = /\.(?:q|k|v|proj_out)\.weight$/;

/**
 * diffusers' names of autoencoders (AutoencoderKL, AutoencoderKLTemporalDecoder) in those of LDM and SGM.
 *
 * @param levels of the configuration: the original numbers the blocks of the decoder the other way round.
 */
export function ldmVaeNames(levels: number): Naming {
  return (name): Place => {
    const blocks = name
      .replace(/\bdown_blocks\b/, 'down')
      .replace(/\bup_blocks\.(\d+)/, (_, block: string) => `up.${levels - 1 - Number(block)}`);
    const key = replaceModules(replaceModules(blocks.replace('.spatial_res_block.', '.'), TEMPORAL), MODULES);
    return key.includes('.attn_1.') && LINEAR.test(key) ? { key, op: 'squeeze_hw' } : { key };
  };
}

/** The same of Stable Video Diffusion, which encodes with the autoencoder that its conditions have. */
export function videoVaeNames(levels: number): Naming {
  const naming = ldmVaeNames(levels);
  return (name) => {
    const place = naming(name);
    const isEncoder = /^(?:encoder|quant_conv)\./.test(name);
    return {
      ...place,
      key: (isEncoder ? 'conditioner.embedders.3.encoder.' : 'first_stage_model.') + place.key,
    };
  };
}

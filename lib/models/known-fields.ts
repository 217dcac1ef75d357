import { remarks, shorten } from '../messages.js';

// The parameters that diffusers' classes have, v0.40. Native code obeys them, refuses what it cannot compute, or need
// not look: dropout, upcast_attention and the like change nothing in a finished model.
const KNOWN: Readonly<Record<string, string>> = {
  UNet2DConditionModel:
    'sample_size in_channels out_channels center_input_sample flip_sin_to_cos freq_shift down_block_types ' +
    'mid_block_type up_block_types only_cross_attention block_out_channels layers_per_block downsample_padding ' +
    'mid_block_scale_factor dropout act_fn norm_num_groups norm_eps cross_attention_dim ' +
    'transformer_layers_per_block reverse_transformer_layers_per_block encoder_hid_dim encoder_hid_dim_type ' +
    'attention_head_dim num_attention_heads dual_cross_attention use_linear_projection class_embed_type ' +
    'addition_embed_type addition_time_embed_dim num_class_embeds upcast_attention resnet_time_scale_shift ' +
    'resnet_skip_time_act resnet_out_scale_factor time_embedding_type time_embedding_dim time_embedding_act_fn ' +
    'timestep_post_act time_cond_proj_dim conv_in_kernel conv_out_kernel projection_class_embeddings_input_dim ' +
    'attention_type class_embeddings_concat mid_block_only_cross_attention cross_attention_norm ' +
    'addition_embed_type_num_heads',
  AutoencoderKL:
    'in_channels out_channels down_block_types up_block_types block_out_channels layers_per_block act_fn ' +
    'latent_channels norm_num_groups sample_size scaling_factor shift_factor latents_mean latents_std force_upcast ' +
    'use_quant_conv use_post_quant_conv mid_block_add_attention',
};

/** What is wrong with a configuration only in that nobody knows what a field means, in words; empty for most. */
export function unknownFields(config: Readonly<Record<string, unknown>>): string[] {
  const className = String(config._class_name);
  const known = Object.hasOwn(KNOWN, className) ? KNOWN[className]?.split(' ') : undefined;
  if (!known) return [];
  const fields = Object.entries(config)
    .filter(
      ([name, value]) => !name.startsWith('_') && value !== null && value !== false && !known.includes(name),
    )
    .map(([name]) => name);
  const what = `not a field of ${className} and is left out`;
  return remarks(fields, (name) => `"${shorten(name, 60)}" is ${what}`, 'of its fields are not known either');
}

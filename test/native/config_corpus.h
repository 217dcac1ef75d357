#pragma once

// A small valid configuration of every format that models have.

#include <string>
#include <vector>

namespace deepcache::test {

enum class ModelKind { unet, vae, text_encoder, image_encoder };

struct ConfigCase {
  const char* name;
  ModelKind kind;
  std::string text;
};

inline const std::vector<ConfigCase>& config_corpus() {
  static const std::vector<ConfigCase> cases = {
      {"unet", ModelKind::unet, R"({
        "_class_name": "UNet2DConditionModel", "act_fn": "silu", "in_channels": 4,
        "out_channels": 4, "norm_num_groups": 4, "norm_eps": 1e-5, "sample_size": 8,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "mid_block_type": "UNetMidBlock2DCrossAttn", "mid_block_scale_factor": 1,
        "block_out_channels": [8, 16], "layers_per_block": 1, "downsample_padding": 1,
        "transformer_layers_per_block": 1, "cross_attention_dim": 12, "attention_head_dim": 2,
        "flip_sin_to_cos": true, "freq_shift": 0, "use_linear_projection": false})"},
      {"unet_xl", ModelKind::unet, R"({
        "_class_name": "UNet2DConditionModel", "in_channels": 4, "out_channels": 4,
        "norm_num_groups": 4, "addition_embed_type": "text_time", "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 32, "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "layers_per_block": 2,
        "transformer_layers_per_block": [1, 2], "cross_attention_dim": 12,
        "attention_head_dim": [1, 2], "use_linear_projection": true})"},
      // As DeepFloyd IF's: resnets that resample, keys of the text before the pixels' own.
      {"unet_simple", ModelKind::unet, R"({
        "_class_name": "UNet2DConditionModel", "in_channels": 3, "out_channels": 6, "act_fn": "gelu",
        "norm_num_groups": 4, "block_out_channels": [8, 16], "attention_head_dim": 4,
        "down_block_types": ["ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"],
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn", "mid_block_scale_factor": 1.5,
        "up_block_types": ["SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"],
        "layers_per_block": [1, 2], "cross_attention_dim": 32, "cross_attention_norm": "group_norm",
        "encoder_hid_dim": 12, "encoder_hid_dim_type": "text_proj", "resnet_skip_time_act": true,
        "resnet_out_scale_factor": 1.25, "resnet_time_scale_shift": "scale_shift",
        "addition_embed_type": "text", "addition_embed_type_num_heads": 3,
        "class_embed_type": "timestep", "timestep_post_act": "silu",
        "time_embedding_act_fn": "gelu", "mid_block_only_cross_attention": true})"},
      // As Kandinsky's: contexts of images.
      {"unet_image", ModelKind::unet, R"({
        "_class_name": "UNet2DConditionModel", "norm_num_groups": 4, "attention_head_dim": 2,
        "block_out_channels": [8, 16], "down_block_types": ["AttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "AttnUpBlock2D"], "layers_per_block": 1,
        "cross_attention_dim": 12, "encoder_hid_dim": 6, "encoder_hid_dim_type": "text_image_proj",
        "addition_embed_type": "text_image", "time_embedding_type": "fourier",
        "time_embedding_dim": 24, "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": 5})"},
      // As pruned models': layers of their own for each level, and no middle.
      {"unet_lists", ModelKind::unet, R"({
        "_class_name": "UNet2DConditionModel", "norm_num_groups": 4, "attention_head_dim": [1, 2],
        "block_out_channels": [8, 16], "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"], "mid_block_type": null,
        "layers_per_block": [1, 2], "transformer_layers_per_block": [0, [1, 2]],
        "reverse_transformer_layers_per_block": [[2, 1, 1], 1], "cross_attention_dim": [12, 12],
        "only_cross_attention": [true, false], "num_class_embeds": 7,
        "class_embeddings_concat": true, "conv_in_kernel": 1,
        "conv_out_kernel": 5, "center_input_sample": true, "time_cond_proj_dim": 6})"},
      {"unet_video", ModelKind::unet, R"({
        "_class_name": "UNetSpatioTemporalConditionModel", "in_channels": 8, "out_channels": 4,
        "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
        "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
        "block_out_channels": [8, 16], "layers_per_block": 1, "cross_attention_dim": 16,
        "norm_num_groups": 4, "num_attention_heads": [2, 4], "addition_time_embed_dim": 8, "num_frames": 4,
        "projection_class_embeddings_input_dim": 24, "sample_size": 8})"},
      {"unet_2d", ModelKind::unet, R"({
        "_class_name": "UNet2DModel", "act_fn": "silu", "add_attention": true,
        "attention_head_dim": null, "block_out_channels": [8, 16], "downsample_padding": 0,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "downsample_type": "conv",
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "upsample_type": "conv",
        "flip_sin_to_cos": false, "freq_shift": 1, "in_channels": 3, "layers_per_block": 1,
        "mid_block_scale_factor": 1, "norm_eps": 1e-6, "norm_num_groups": 4, "out_channels": 3,
        "sample_size": 8})"},
      {"unet_ddpm", ModelKind::unet, R"({
        "type": "simple", "in_channels": 3, "out_ch": 3, "ch": 8, "ch_mult": [1, 2],
        "num_res_blocks": 1, "attn_resolutions": [4], "resamp_with_conv": true, "image_size": 8,
        "norm_groups": 4, "norm_eps": 1e-6})"},
      {"unet_ldm", ModelKind::unet, R"({
        "target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": {"unet_config": {
        "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": {
        "image_size": 8, "in_channels": 3, "out_channels": 3, "model_channels": 32, "dims": 2,
        "attention_resolutions": [2, 1], "num_res_blocks": 1, "channel_mult": [1, 2],
        "num_head_channels": 16, "use_spatial_transformer": true, "transformer_depth": 1,
        "context_dim": 12, "conv_resample": true}}}})"},
      {"vae", ModelKind::vae, R"({
        "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [8, 16],
        "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
        "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"], "in_channels": 3,
        "out_channels": 3, "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 4,
        "use_quant_conv": true, "use_post_quant_conv": true, "mid_block_add_attention": true,
        "scaling_factor": 0.18215, "sample_size": 16})"},
      {"vae_video", ModelKind::vae, R"({
        "_class_name": "AutoencoderKLTemporalDecoder", "block_out_channels": [8, 16],
        "in_channels": 3, "out_channels": 3, "latent_channels": 4, "layers_per_block": 1,
        "norm_num_groups": 4,
        "scaling_factor": 0.18215})"},
      {"vae_vq", ModelKind::vae, R"({
        "target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": {"scale_factor": 1,
        "first_stage_config": {"target": "ldm.models.autoencoder.VQModelInterface", "params": {
        "embed_dim": 3, "n_embed": 16, "ddconfig": {"z_channels": 3, "in_channels": 3,
        "out_ch": 3, "ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1,
        "attn_resolutions": []}}}}})"},
      {"text_encoder", ModelKind::text_encoder, R"({
        "model_type": "clip_text_model", "hidden_act": "quick_gelu", "hidden_size": 8,
        "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 16, "vocab_size": 40, "projection_dim": 8, "eos_token_id": 2,
        "layer_norm_eps": 1e-5})"},
      {"image_encoder", ModelKind::image_encoder, R"({
        "model_type": "clip_vision_model", "hidden_act": "gelu", "hidden_size": 8,
        "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_channels": 3, "image_size": 16, "patch_size": 4, "projection_dim": 8,
        "layer_norm_eps": 1e-5})"},
  };
  return cases;
}

}  // namespace deepcache::test

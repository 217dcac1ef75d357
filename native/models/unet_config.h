#pragma once

#include <string>
#include <vector>

namespace deepcache {

// diffusers' UNet2DConditionModel configuration, as far as it changes the computation. Vectors
// have one entry a level, the finest first.
struct UnetConfig {
  int in_channels = 4, out_channels = 4;
  std::vector<int> channels;       // block_out_channels
  std::vector<bool> down_attends;  // CrossAttnDownBlock2D, else DownBlock2D
  std::vector<bool> up_attends;    // CrossAttnUpBlock2D; the coarsest first
  std::vector<int> heads;          // attention_head_dim: the NUMBER of heads, despite its name
  std::vector<int> depth;          // transformer_layers_per_block
  int context_width = 0;           // cross_attention_dim
  int layers = 2;                  // layers_per_block
  int groups = 32;                 // norm_num_groups
  float epsilon = 1e-5f;           // norm_eps
  bool linear_projection = false;  // stored as linear layers: counts only
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
  // addition_embed_type "text_time" (SDXL): pooled text and sizes join the time embedding.
  bool text_time = false;
  int addition_time_width = 0;   // addition_time_embed_dim
  int addition_input_width = 0;  // projection_class_embeddings_input_dim
  int sample_size = 64;

  // Throws Error(kInvalidConfig) or Error(kUnsupported) naming the field.
  static UnetConfig parse(const std::string& json);

  int levels() const { return int(channels.size()); }
  int time_width() const { return 4 * channels[0]; }
  // Steps of the down path: a resnet with its attention, or a downsampler.
  int units_per_level() const { return layers + 1; }
  // DeepCache branches: 0 .. branches() - 1.
  int branches() const { return levels() * units_per_level(); }
};

}  // namespace deepcache

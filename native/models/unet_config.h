#pragma once

#include <optional>
#include <string>
#include <vector>

#include "unet_motion.h"
#include "video_layers.h"
#include "weight_names.h"

namespace deepcache {

// What follows a resnet where a U-Net attends.
enum class UnetAttention : uint8_t {
  transformer,  // Transformer2DModel: self-attention, cross-attention, GEGLU
  plain,        // self-attention behind a GroupNorm
};

// What a format calls the fields, for messages; by default as diffusers does.
struct UnetFields {
  std::string config = "unet config";
  const char* channels = "block_out_channels";
  const char* layers = "layers_per_block";
  const char* groups = "norm_num_groups";
  const char* heads = "attention_head_dim";
  const char* depth = "transformer_layers_per_block";
  const char* context_width = "cross_attention_dim";
  const char* in_channels = "in_channels";
  const char* out_channels = "out_channels";
  const char* sample_size = "sample_size";
};

// Of a ControlNet that takes pictures of several kinds at once (ControlNetUnionModel): the
// transformer that looks at them.
struct ControlKinds {
  int count = 6;   // num_control_type
  int heads = 8;   // num_trans_head
  int layers = 1;  // num_trans_layer
};

// What a ControlNet has besides the encoder of a U-Net.
struct ControlConfig {
  int image_channels = 3;          // conditioning_channels
  std::vector<int> hint_channels;  // conditioning_embedding_out_channels: each but the first halves
  std::optional<ControlKinds> kinds = {};

  // Pixels of the picture for one of the latents, in each axis.
  int scale() const { return 1 << (hint_channels.size() - 1); }
};

// diffusers' UNet2DConditionModel, UNet2DModel or UNetSpatioTemporalConditionModel configuration,
// as far as it changes the computation. Vectors have one entry a level, the finest first.
struct UnetConfig {
  int in_channels = 4, out_channels = 4;
  std::vector<int> channels;  // block_out_channels
  UnetAttention attention = UnetAttention::transformer;
  std::vector<bool> down_attends;  // CrossAttnDownBlock2D, AttnDownBlock2D; else DownBlock2D
  std::vector<bool> up_attends;    // the same; the coarsest first
  int mid_resnets = 2;             // 0: there is no mid block (mid_block_type null)
  bool mid_attends = true;
  std::vector<int> heads;          // attention_head_dim: the NUMBER of heads, despite its name
  std::vector<int> depth;          // transformer_layers_per_block
  int context_width = 0;           // cross_attention_dim; 0: no cross-attention
  int layers = 2;                  // layers_per_block
  int groups = 32;                 // norm_num_groups
  float epsilon = 1e-5f;           // norm_eps
  bool linear_projection = false;  // attention's projections stored as linear layers: counts only
  bool norms_counted = true;       // by Macs::repo, which overlooks LDM's class of norms in resnets
  // Downsampling: padding of one pixel below and on the right only, instead of on all sides; the
  // mean of 2x2 pixels instead of a convolution (upsampling then has none either).
  bool pad_end_only = false;
  bool resample_with_conv = true;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
  // addition_embed_type "text_time" (SDXL): pooled text and sizes join the time embedding.
  bool text_time = false;
  int addition_time_width = 0;   // addition_time_embed_dim
  int addition_input_width = 0;  // projection_class_embeddings_input_dim
  int sample_height = 64, sample_width = 64;
  // time_cond_proj_dim: the width of an embedded guidance scale, which joins that of time; 0: none.
  int time_cond_width = 0;
  // UNetSpatioTemporalConditionModel (Stable Video Diffusion): resnets and transformers have layers
  // along the frames too, and sizes (time ids) join the time embedding.
  bool video = false;
  int frames = 1;                    // num_frames that it was trained on
  MixFactors mix_factors;            // of the loaded weights
  std::optional<UnetMotion> motion;  // UNetMotionModel (AnimateDiff)

  // A network beside a U-Net, without an up path: its outputs are added to the U-Net's skips.
  std::optional<ControlConfig> control = {};

  WeightNaming naming = {};  // of the checkpoint
  UnetFields fields = {};

  // Reads every format of unet_formats.h. Throws Error(kInvalidConfig) or Error(kUnsupported)
  // naming the field.
  static UnetConfig parse(const std::string& json);

  // Throws Error(kInvalidArgument) for a sample that would not come out as large as it went in.
  void check_size(int height, int width) const;
  // A level's height or width, from that of the level before.
  int halved(int extent) const { return drops_odd_edge() ? extent / 2 : (extent + 1) / 2; }

  // Samples are frames of videos, which have a text and a time in common.
  bool takes_videos() const { return video || motion.has_value(); }
  // Sizes or the like join the time embedding.
  bool has_time_ids() const { return text_time || video; }
  // A number of time ids that fits; how many there are only splits the added input's width.
  int some_time_ids() const { return video ? addition_input_width / addition_time_width : 1; }
  int levels() const { return int(channels.size()); }
  int time_width() const { return 4 * channels[0]; }
  // Steps of the down path: a resnet with its attention, or a downsampler.
  int units_per_level() const { return layers + 1; }
  // DeepCache branches: 0 .. branches() - 1.
  int branches() const { return levels() * units_per_level(); }

 private:
  bool drops_odd_edge() const { return pad_end_only || !resample_with_conv; }
};

}  // namespace deepcache

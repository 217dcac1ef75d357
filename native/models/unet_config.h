#pragma once

#include <optional>
#include <string>
#include <vector>

#include "unet_embeddings.h"
#include "unet_motion.h"
#include "video_layers.h"
#include "weight_names.h"

namespace deepcache {

// What follows a resnet.
enum class UnetAttention : uint8_t {
  none,
  transformer,  // Transformer2DModel: self-attention, cross-attention, GEGLU
  plain,        // self-attention behind a GroupNorm
  added_kv,     // the same with the context's keys and values before its own
};

// A level on its way down or up, or the middle.
struct UnetBlock {
  UnetAttention attention = UnetAttention::none;
  int layers = 0;               // resnets
  std::vector<int> depth = {};  // transformer blocks behind each of them
  int heads = 1;
  bool only_cross = false;        // self attention takes the context, or is left out
  bool resnet_resampler = false;  // its resampler is a resnet, too
  bool time_act = true;           // resnets activate the time embedding (resnet_skip_time_act)
  float out_scale = 1;            // resnets are divided by it

  bool attends() const { return attention != UnetAttention::none; }
  bool reads_context() const {
    return attention == UnetAttention::transformer || attention == UnetAttention::added_kv;
  }
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
  bool global_pool = false;  // global_pool_conditions: outputs are their means over all pixels

  // Pixels of the picture for one of the latents, in each axis.
  int scale() const { return 1 << (hint_channels.size() - 1); }
};

// diffusers' UNet2DConditionModel, UNet2DModel or UNetSpatioTemporalConditionModel configuration,
// as far as it changes the computation. Vectors have one entry a level, the finest first.
struct UnetConfig {
  int in_channels = 4, out_channels = 4;
  std::vector<int> channels;  // block_out_channels
  std::vector<UnetBlock> down;
  std::vector<UnetBlock> up;  // the coarsest first
  UnetBlock mid;              // without layers there is none (mid_block_type null)
  int context_width = 0;      // cross_attention_dim; 0: no cross-attention
  int conv_in_kernel = 3, conv_out_kernel = 3;
  Activation act = Activation::silu;  // act_fn
  bool center_input = false;          // center_input_sample: 2 x - 1
  bool scale_shift = false;           // resnet_time_scale_shift
  bool norm_contexts = false;         // cross_attention_norm, of added_kv
  bool norm_contexts_by_token = false;
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
  UnetEmbeddings embeddings;
  // Of addition_embed_type "text_time" (SDXL): pooled text and sizes join the time embedding.
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
  bool text_time() const { return embeddings.addition == UnetAddition::text_time; }
  // Sizes or the like join the time embedding.
  bool has_time_ids() const { return text_time() || video; }
  // A number of time ids that fits; how many there are only splits the added input's width.
  int some_time_ids() const { return video ? addition_input_width / addition_time_width : 1; }
  int levels() const { return int(channels.size()); }
  // Of the sinusoids of a time.
  int time_input_width() const { return embeddings.fourier ? time_width() : channels[0]; }
  int time_width() const {
    const int own = (embeddings.fourier ? 2 : 4) * channels[0];
    return embeddings.time_width ? embeddings.time_width : own;
  }
  // Of what the resnets project.
  int joined_time_width() const { return (embeddings.classes_join ? 2 : 1) * time_width(); }
  // Of the text that it is given, of which cross-attention may read a projection; 0: none.
  int text_width() const;
  int image_width() const;
  // How many tokens cross-attention reads of a text of so many.
  int context_tokens(int text_tokens) const;
  // DeepCache branches: 0 .. branches() - 1. One for each unit of the down path (a resnet with its
  // attention, or a downsampler), and one more.
  int branches() const;

 private:
  bool drops_odd_edge() const;
};

}  // namespace deepcache

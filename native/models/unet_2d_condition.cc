// The fields of diffusers' UNet2DConditionModel and of the models that are made of its parts. What
// the reference refuses, or fails at, is refused by the field's name.

#include <algorithm>

#include "bounds.h"
#include "unet_formats.h"

namespace deepcache {
namespace {

struct BlockKind {
  UnetAttention attention;
  bool resnet_resampler = false;
};
using BlockKinds = std::map<std::string, BlockKind>;

const BlockKinds kDownBlocks = {
    {"DownBlock2D", {UnetAttention::none}},
    {"CrossAttnDownBlock2D", {UnetAttention::transformer}},
    {"AttnDownBlock2D", {UnetAttention::plain}},
    {"ResnetDownsampleBlock2D", {UnetAttention::none, true}},
    {"SimpleCrossAttnDownBlock2D", {UnetAttention::added_kv, true}},
};
const BlockKinds kUpBlocks = {
    {"UpBlock2D", {UnetAttention::none}},
    {"CrossAttnUpBlock2D", {UnetAttention::transformer}},
    {"AttnUpBlock2D", {UnetAttention::plain}},
    {"ResnetUpsampleBlock2D", {UnetAttention::none, true}},
    {"SimpleCrossAttnUpBlock2D", {UnetAttention::added_kv, true}},
};
const BlockKinds kMotionDownBlocks = {
    {"DownBlockMotion", {UnetAttention::none}},
    {"CrossAttnDownBlockMotion", {UnetAttention::transformer}},
};
const BlockKinds kMotionUpBlocks = {
    {"UpBlockMotion", {UnetAttention::none}},
    {"CrossAttnUpBlockMotion", {UnetAttention::transformer}},
};
const BlockKinds kVideoDownBlocks = {
    {"DownBlockSpatioTemporal", {UnetAttention::none}},
    {"CrossAttnDownBlockSpatioTemporal", {UnetAttention::transformer}},
};
const BlockKinds kVideoUpBlocks = {
    {"UpBlockSpatioTemporal", {UnetAttention::none}},
    {"CrossAttnUpBlockSpatioTemporal", {UnetAttention::transformer}},
};

// The fields that all blocks are made by, a value a level.
struct Levels {
  const ConfigReader& in;
  const UnetConfig& config;
  std::vector<int> layers, heads;
  std::vector<bool> only_cross;
  std::vector<std::vector<int>> depth, up_depth;  // the latter in the order of up blocks
  bool time_act;
  float out_scale;

  // attention_head_dim: the NUMBER of heads of a transformer, despite its name; elsewhere the width
  // of one.
  int heads_of(UnetAttention attention, size_t level) const {
    const int channels = config.channels[level];
    if (attention == UnetAttention::none || attention == UnetAttention::transformer)
      return heads[level];
    if (channels % heads[level])
      in.fail("has " + std::to_string(channels) + " channels for heads of " +
              std::to_string(heads[level]) + " (\"" + config.fields.heads + "\")");
    return channels / heads[level];
  }

  UnetBlock block(const BlockKind& kind, size_t level, int count, const char* field,
                  std::vector<int> depth_of_layers) const {
    UnetBlock out{.attention = kind.attention,
                  .layers = count,
                  .depth = std::move(depth_of_layers),
                  .heads = heads_of(kind.attention, level),
                  .only_cross = only_cross[level],
                  .resnet_resampler = kind.resnet_resampler};
    if (out.depth.size() == 1) out.depth.resize(size_t(count), out.depth[0]);
    if (kind.attention == UnetAttention::transformer && out.depth.size() < size_t(count))
      in.fail("has a list of " + std::to_string(out.depth.size()) + " in \"" + field + "\" for " +
              std::to_string(count) + " layers");
    // Only these kinds of blocks are given the two fields.
    if (kind.resnet_resampler) {
      out.time_act = time_act;
      out.out_scale = out_scale;
    }
    return out;
  }
};

float factor(const ConfigReader& in, const char* field) {
  const double value = in.number(field, 1);
  if (!(value > 0 && value <= 1e6))
    in.fail("must have a \"" + std::string(field) + "\" above 0 and at most 1000000");
  return float(value);
}

void set_blocks(const ConfigReader& in, UnetConfig& out) {
  const size_t levels = out.channels.size();
  const char *depth_field = "transformer_layers_per_block",
             *reverse_field = "reverse_transformer_layers_per_block";
  Levels of{.in = in,
            .config = out,
            .layers = in.per_level("layers_per_block", levels, 2),
            .heads = in.per_level(out.fields.heads, levels, 8),
            .only_cross = in.booleans("only_cross_attention", levels, false),
            // None where a level does not attend (KOALA).
            .depth = in.nested(depth_field, levels, 1, 0),
            .up_depth = {},
            .time_act = !in.boolean("resnet_skip_time_act", false),
            .out_scale = factor(in, "resnet_out_scale_factor")};
  const bool reverse = in.has(reverse_field);
  for (const std::vector<int>& depth : of.depth)
    if (depth.size() > 1 && !reverse)
      in.fail("has lists in \"" + std::string(depth_field) + "\", which need \"" + reverse_field +
              "\"");
  of.up_depth = reverse ? in.nested(reverse_field, levels, 1, 0)
                        : std::vector(of.depth.rbegin(), of.depth.rend());

  const auto down = block_kinds(in, "down_block_types", levels,
                                out.video    ? kVideoDownBlocks
                                : out.motion ? kMotionDownBlocks
                                             : kDownBlocks);
  // A ControlNet has no way up, and the same skips as a U-Net whose ways are alike.
  const auto up = out.control ? std::vector(down.rbegin(), down.rend())
                              : block_kinds(in, "up_block_types", levels,
                                            out.video    ? kVideoUpBlocks
                                            : out.motion ? kMotionUpBlocks
                                                         : kUpBlocks);
  for (size_t i = 0; i < levels; ++i)
    out.down.push_back(of.block(down[i], i, of.layers[i], depth_field, of.depth[i]));
  for (size_t i = 0; i < levels; ++i) {
    const size_t level = levels - 1 - i;
    out.up.push_back(of.block(up[i], level, of.layers[level] + 1,
                              reverse ? reverse_field : depth_field, of.up_depth[i]));
  }

  // Null stands for none, a missing field for the usual one.
  if (in.present("mid_block_type") && !in.has("mid_block_type")) return;
  const std::string type = in.string("mid_block_type", "UNetMidBlock2DCrossAttn");
  const UnetAttention attention = type == "UNetMidBlock2D"            ? UnetAttention::none
                                  : type == "UNetMidBlock2DCrossAttn" ? UnetAttention::transformer
                                                                      : UnetAttention::added_kv;
  out.mid = {.attention = attention,
             .layers = attention == UnetAttention::none ? 1 : 2,
             .depth = {of.depth.back()[0], 0},
             .heads = of.heads_of(attention, levels - 1),
             .out_scale = factor(in, "mid_block_scale_factor")};
  if (attention != UnetAttention::added_kv) return;
  out.mid.time_act = of.time_act;
  // diffusers: a single value for all levels is the middle's, too.
  const bool single = !in.is_list("only_cross_attention") && of.only_cross.back();
  out.mid.only_cross = in.boolean("mid_block_only_cross_attention", single);
}

int odd_kernel(const ConfigReader& in, const char* field) {
  const int kernel = in.integer(field, 3, 1, 15);
  if (kernel % 2 == 0) in.fail("has an even \"" + std::string(field) + "\"");
  return kernel;
}

// ControlNetModel: the same encoder, and what sees the picture.
void set_control(const ConfigReader& in, UnetConfig& out) {
  const bool is_union = in.string("_class_name", "") == "ControlNetUnionModel";
  // Whoever gives the picture brings it into that order. diffusers knows one for unions.
  const char* const order = "controlnet_conditioning_channel_order";
  is_union ? in.only(order, {"rgb"}) : in.only(order, {"rgb", "bgr"});
  ControlConfig& control = out.control.emplace();
  control.global_pool = in.boolean("global_pool_conditions", false);
  control.image_channels = in.integer("conditioning_channels", 3, 1, bounds::kChannels);
  control.hint_channels = in.present("conditioning_embedding_out_channels")
                              ? in.integers("conditioning_embedding_out_channels")
                              : std::vector<int>{16, 32, 96, 256};
  const auto is_wrong = [](int channels) { return channels < 1 || channels > bounds::kChannels; };
  if (is_union) {
    ControlKinds& kinds = control.kinds.emplace();
    kinds.count = in.integer("num_control_type", 6, 1, bounds::kControlKinds);
    kinds.heads = in.integer("num_trans_head", 8, 1, bounds::kChannels);
    kinds.layers = in.integer("num_trans_layer", 1, 0, bounds::kLayers);
    // Their outputs meet the hint's channels.
    for (const char* field : {"num_trans_channel", "num_proj_channel"})
      if (const int width = in.integer(field, 320); width != out.channels[0])
        in.fail("has \"" + std::string(field) + "\": " + std::to_string(width) + " for " +
                std::to_string(out.channels[0]) + " \"block_out_channels\" of the first level");
    if (out.channels[0] % kinds.heads)
      in.fail("has " + std::to_string(out.channels[0]) + " channels for " +
              std::to_string(kinds.heads) + " \"num_trans_head\"");
    out.addition_time_width =
        in.integer("addition_time_embed_dim", 256, 1, bounds::kAddedWidth / kinds.count);
  }
  if (control.hint_channels.empty() || control.hint_channels.size() > size_t(bounds::kLevels) ||
      std::ranges::any_of(control.hint_channels, is_wrong))
    in.fail("must have 1 to " + std::to_string(bounds::kLevels) +
            " numbers of channels in \"conditioning_embedding_out_channels\"");
}

}  // namespace

UnetConfig parse_unet_2d_condition(const ConfigReader& in) {
  in.only("_class_name", {"UNet2DConditionModel", "UNetSpatioTemporalConditionModel",
                          "UNetMotionModel", "ControlNetModel", "ControlNetUnionModel"});
  const std::string kind = in.string("_class_name", "");
  const bool video = kind == "UNetSpatioTemporalConditionModel", motion = kind == "UNetMotionModel";
  in.only("mid_block_type",
          {"UNetMidBlock2DCrossAttn", "UNetMidBlock2D", "UNetMidBlock2DSimpleCrossAttn"});
  in.only("resnet_time_scale_shift", {"default", "scale_shift"});
  in.only("attention_type", {"default"});
  in.only("cross_attention_norm", {"group_norm", "layer_norm"});
  in.never("dual_cross_attention");

  UnetConfig out;
  out.video = video;
  out.channels = in.integers("block_out_channels");
  const size_t levels = checked_levels(in, out, "block_out_channels");
  if (kind.starts_with("ControlNet")) set_control(in, out);
  if (motion) out.motion = parse_unet_motion(in, levels);
  // diffusers refuses it elsewhere, too: what it would mean is called attention_head_dim there.
  if (!out.takes_videos() && !out.control) in.never("num_attention_heads");
  out.in_channels = in.integer("in_channels", 4);
  out.out_channels = in.integer("out_channels", 4);
  out.conv_in_kernel = odd_kernel(in, "conv_in_kernel");
  out.conv_out_kernel = odd_kernel(in, "conv_out_kernel");
  out.act = parse_activation(in, "act_fn", Activation::silu);
  out.center_input = in.boolean("center_input_sample", false);
  out.scale_shift = in.string("resnet_time_scale_shift", "default") == "scale_shift";
  out.norm_contexts = in.has("cross_attention_norm");
  out.norm_contexts_by_token = in.string("cross_attention_norm", "") == "layer_norm";
  out.linear_projection = video || in.boolean("use_linear_projection", false);
  if (in.has("num_attention_heads")) out.fields.heads = "num_attention_heads";
  out.context_width = in.same_for_all("cross_attention_dim", levels, 1280);
  out.groups = in.integer("norm_num_groups", 32);
  out.epsilon = float(in.number("norm_eps", 1e-5));
  out.flip_sin_to_cos = in.boolean("flip_sin_to_cos", true);
  out.freq_shift = float(in.number("freq_shift", 0));
  out.pad_end_only = in.integer("downsample_padding", 1, 0, 1) == 0;
  set_sample_size(in, out, 64);
  if (in.has("time_cond_proj_dim")) out.time_cond_width = in.integer("time_cond_proj_dim");
  set_blocks(in, out);
  set_unet_embeddings(in, out);
  if (out.has_time_ids()) {
    out.addition_time_width = in.integer("addition_time_embed_dim", 256);
    out.addition_input_width = in.integer("projection_class_embeddings_input_dim", 768);
  }
  if (video) out.frames = in.integer("num_frames", 25);
  return out;
}

}  // namespace deepcache

#include "unet_config.h"

#include <algorithm>

#include "bounds.h"
#include "unet_formats.h"

namespace deepcache {
namespace {

// What UNetSpatioTemporalConditionModel has instead of options.
void set_video(const ConfigReader& in, UnetConfig& out) {
  const size_t levels = out.channels.size();
  out.video = true;
  out.down_attends = block_attends(in, "down_block_types", levels, "DownBlockSpatioTemporal",
                                   "CrossAttnDownBlockSpatioTemporal");
  out.up_attends = block_attends(in, "up_block_types", levels, "UpBlockSpatioTemporal",
                                 "CrossAttnUpBlockSpatioTemporal");
  out.frames = in.integer("num_frames", 25);
  out.linear_projection = true;
  out.addition_time_width = in.integer("addition_time_embed_dim", 256);
  out.addition_input_width = in.integer("projection_class_embeddings_input_dim", 768);
}

void set_mid_block(const ConfigReader& in, UnetConfig& out) {
  // Null stands for none, a missing field for the usual one. diffusers' plain one has a single
  // resnet.
  const bool none = in.present("mid_block_type") && !in.has("mid_block_type");
  const bool plain = in.string("mid_block_type", "") == "UNetMidBlock2D";
  if (none || plain) out.mid_attends = false;
  out.mid_resnets = none ? 0 : plain ? 1 : 2;
}

// ControlNetModel: the same encoder, and what sees the picture.
void set_control(const ConfigReader& in, UnetConfig& out) {
  in.only("controlnet_conditioning_channel_order", {"rgb"});
  in.never("global_pool_conditions");
  ControlConfig& control = out.control.emplace();
  control.image_channels = in.integer("conditioning_channels", 3, 1, bounds::kChannels);
  control.hint_channels = in.present("conditioning_embedding_out_channels")
                              ? in.integers("conditioning_embedding_out_channels")
                              : std::vector<int>{16, 32, 96, 256};
  const auto is_wrong = [](int channels) { return channels < 1 || channels > bounds::kChannels; };
  if (in.string("_class_name", "") == "ControlNetUnionModel") {
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
  const bool control = in.string("_class_name", "").starts_with("ControlNet");
  const bool video = in.string("_class_name", "") == "UNetSpatioTemporalConditionModel";
  const bool motion = in.string("_class_name", "") == "UNetMotionModel";
  in.only("act_fn", {"silu", "swish"});
  in.only("mid_block_type", {"UNetMidBlock2DCrossAttn", "UNetMidBlock2D"});
  in.only("addition_embed_type", {"text_time"});
  in.only("resnet_time_scale_shift", {"default"});
  in.only("time_embedding_type", {"positional"});
  in.only("attention_type", {"default"});
  for (const char* field :
       {"class_embed_type", "num_class_embeds", "encoder_hid_dim", "encoder_hid_dim_type",
        "time_embedding_dim", "time_embedding_act_fn", "timestep_post_act", "cross_attention_norm",
        "dual_cross_attention", "only_cross_attention", "mid_block_only_cross_attention",
        "resnet_skip_time_act", "center_input_sample", "class_embeddings_concat",
        "reverse_transformer_layers_per_block"})
    in.never(field);
  for (const char* field : {"conv_in_kernel", "conv_out_kernel"})
    if (in.integer(field, 3) != 3)
      throw Error(ErrorCode::kUnsupported, std::string("unet config: ") + field + " must be 3");
  for (const char* field : {"mid_block_scale_factor", "resnet_out_scale_factor"})
    if (in.number(field, 1) != 1)
      throw Error(ErrorCode::kUnsupported, std::string("unet config: ") + field + " must be 1");
  if (in.integer("downsample_padding", 1, 0, 16) != 1)
    throw Error(ErrorCode::kUnsupported, "unet config: downsample_padding must be 1");

  UnetConfig out;
  out.channels = in.integers("block_out_channels");
  const size_t levels = checked_levels(in, out, "block_out_channels");
  out.in_channels = in.integer("in_channels", 4);
  out.out_channels = in.integer("out_channels", 4);
  if (control) set_control(in, out);
  if (video) {
    set_video(in, out);
  } else {
    const std::string kind = motion ? "Motion" : "2D";
    out.down_attends = block_attends(in, "down_block_types", levels, "DownBlock" + kind,
                                     "CrossAttnDownBlock" + kind);
    if (control)
      out.up_attends = {out.down_attends.rbegin(), out.down_attends.rend()};
    else
      out.up_attends =
          block_attends(in, "up_block_types", levels, "UpBlock" + kind, "CrossAttnUpBlock" + kind);
    out.linear_projection = in.boolean("use_linear_projection", false);
  }
  if (motion) out.motion = parse_unet_motion(in, levels);
  if (in.has("num_attention_heads")) out.fields.heads = "num_attention_heads";
  out.heads = in.per_level(out.fields.heads, levels, 8);
  // None where a level does not attend (KOALA).
  out.depth = in.per_level("transformer_layers_per_block", levels, 1, 0);
  out.context_width = in.same_for_all("cross_attention_dim", levels, 1280);
  out.layers = in.same_for_all("layers_per_block", levels, 2);
  out.groups = in.integer("norm_num_groups", 32);
  out.epsilon = float(in.number("norm_eps", 1e-5));
  out.flip_sin_to_cos = in.boolean("flip_sin_to_cos", true);
  out.freq_shift = float(in.number("freq_shift", 0));
  set_sample_size(in, out, 64);
  set_mid_block(in, out);
  if (in.has("time_cond_proj_dim")) out.time_cond_width = in.integer("time_cond_proj_dim");
  out.text_time = !video && in.has("addition_embed_type");
  if (out.text_time) {
    out.addition_time_width = in.integer("addition_time_embed_dim");
    out.addition_input_width = in.integer("projection_class_embeddings_input_dim");
  }
  return out;
}

UnetConfig UnetConfig::parse(const std::string& json) {
  const ConfigReader in(json, "unet config");
  const bool unconditional = in.string("_class_name", "") == "UNet2DModel";
  const UnetConfig out = in.has("target")    ? parse_ldm_unet(in)
                         : in.has("ch_mult") ? parse_ddpm_unet(in)
                         : unconditional     ? parse_unet_2d(in)
                                             : parse_unet_2d_condition(in);
  validate(out);
  return out;
}

void UnetConfig::check_size(int height, int width) const {
  const int multiple = 1 << (levels() - 1);
  if (drops_odd_edge() && (height % multiple || width % multiple))
    throw Error(ErrorCode::kInvalidArgument,
                "a size of " + std::to_string(width) + "x" + std::to_string(height) +
                    " does not fit this U-Net; both must be multiples of " +
                    std::to_string(multiple));
}

}  // namespace deepcache

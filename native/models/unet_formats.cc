#include "unet_formats.h"

#include <algorithm>

#include "bounds.h"

namespace deepcache {
namespace {

std::vector<bool> reversed(const std::vector<bool>& values) {
  return {values.rbegin(), values.rend()};
}

bool contains(const std::vector<int>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Of formats whose blocks differ in nothing but whether they attend.
struct Alike {
  std::vector<bool> down, up;
  UnetAttention attention;
  int layers;
  std::vector<int> heads = {};  // of each level
  int depth = 0;
  bool mid_attends = true;
};

void set_blocks(const Alike& of, UnetConfig& out) {
  const size_t levels = of.heads.size();
  const auto block = [&](bool attends, int layers, size_t level) {
    return UnetBlock{.attention = attends ? of.attention : UnetAttention::none,
                     .layers = layers,
                     .depth = std::vector<int>(size_t(layers), of.depth),
                     .heads = of.heads[level]};
  };
  for (size_t i = 0; i < levels; ++i) {
    out.down.push_back(block(of.down[i], of.layers, i));
    out.up.push_back(block(of.up[i], of.layers + 1, levels - 1 - i));
  }
  out.mid = block(of.mid_attends, 2, levels - 1);
}

}  // namespace

size_t checked_levels(const ConfigReader& in, const UnetConfig& config, const char* field) {
  const size_t levels = config.channels.size();
  if (levels < 1 || levels > size_t(bounds::kLevels))
    in.fail("must have 1 to " + std::to_string(bounds::kLevels) + " levels in \"" +
            std::string(field) + "\"");
  return levels;
}

void set_sample_size(const ConfigReader& in, UnetConfig& out, int fallback) {
  const std::vector<int> size = in.per_level("sample_size", 2, fallback);
  out.sample_height = size[0];
  out.sample_width = size[1];
}

UnetConfig parse_unet_2d(const ConfigReader& in) {
  in.only("act_fn", {"silu", "swish"});
  in.only("resnet_time_scale_shift", {"default"});
  in.only("time_embedding_type", {"positional"});
  in.only("downsample_type", {"conv"});
  in.only("upsample_type", {"conv"});
  for (const char* field :
       {"class_embed_type", "num_class_embeds", "center_input_sample", "attn_norm_num_groups"})
    in.never(field);
  if (in.number("mid_block_scale_factor", 1) != 1)
    throw Error(ErrorCode::kUnsupported, "unet config: mid_block_scale_factor must be 1");

  UnetConfig out;
  out.channels = in.integers("block_out_channels");
  const size_t levels = checked_levels(in, out, "block_out_channels");
  out.in_channels = in.integer("in_channels", 3);
  out.out_channels = in.integer("out_channels", 3);
  const std::map<std::string, bool> down = {{"DownBlock2D", false}, {"AttnDownBlock2D", true}};
  const std::map<std::string, bool> up = {{"UpBlock2D", false}, {"AttnUpBlock2D", true}};
  Alike blocks{block_kinds(in, "down_block_types", levels, down),
               block_kinds(in, "up_block_types", levels, up), UnetAttention::plain,
               in.integer("layers_per_block", 2)};
  blocks.mid_attends = in.boolean("add_attention", true);
  // Here it is the width of a head. Null stands for a single head, a missing field for 8.
  const bool single = in.present("attention_head_dim") && !in.has("attention_head_dim");
  const int width = in.integer("attention_head_dim", 8);
  for (const int channels : out.channels)
    blocks.heads.push_back(single ? 1 : std::max(1, channels / width));
  set_blocks(blocks, out);
  out.groups = in.integer("norm_num_groups", 32);
  out.epsilon = float(in.number("norm_eps", 1e-5));
  out.linear_projection = true;
  out.flip_sin_to_cos = in.boolean("flip_sin_to_cos", true);
  out.freq_shift = float(in.number("freq_shift", 0));
  out.pad_end_only = in.integer("downsample_padding", 1, 0, 1) == 0;
  set_sample_size(in, out, 32);
  return out;
}

UnetConfig parse_ddpm_unet(const ConfigReader& in) {
  in.only("type", {"simple"});
  UnetConfig out;
  out.fields.channels = "ch_mult";
  out.fields.layers = "num_res_blocks";
  out.fields.groups = "norm_groups";
  out.fields.out_channels = "out_ch";
  out.fields.sample_size = "image_size";
  out.channels = in.multiples("ch", "ch_mult", bounds::kChannels);
  const size_t levels = checked_levels(in, out, "ch_mult");
  out.in_channels = in.integer("in_channels", 3);
  out.out_channels = in.integer("out_ch", 3);
  out.groups = in.integer("norm_groups", 32);
  out.epsilon = float(in.number("norm_eps", 1e-6));
  out.flip_sin_to_cos = false;
  out.freq_shift = 1;
  out.pad_end_only = true;
  out.resample_with_conv = in.boolean("resamp_with_conv", true);
  out.sample_height = out.sample_width = in.integer("image_size");
  const std::vector<int> resolutions = in.integers("attn_resolutions");
  std::vector<bool> attends;
  for (size_t level = 0; level < levels; ++level)
    attends.push_back(contains(resolutions, out.sample_height >> level));
  set_blocks({attends, reversed(attends), UnetAttention::plain, in.integer("num_res_blocks", 2),
              std::vector<int>(levels, 1)},
             out);
  out.naming = ddpm_naming(int(levels), "");
  return out;
}

UnetConfig parse_ldm_unet(const ConfigReader& in) {
  in.only("target", {"ldm.models.diffusion.ddpm.LatentDiffusion"});
  const ConfigReader section = in.section("params").section("unet_config");
  section.only("target", {"ldm.modules.diffusionmodules.openaimodel.UNetModel"});
  const ConfigReader unet = section.section("params");
  for (const char* field : {"num_classes", "use_scale_shift_norm", "resblock_updown", "n_embed",
                            "use_new_attention_order"})
    unet.never(field);
  for (const char* field : {"use_spatial_transformer", "conv_resample"})
    if (!unet.boolean(field, field == std::string("conv_resample")))
      throw Error(ErrorCode::kUnsupported,
                  "unet config: \"" + std::string(field) + "\" must be true");
  if (unet.integer("dims", 2) != 2)
    throw Error(ErrorCode::kUnsupported, "unet config: \"dims\" must be 2");

  const bool widths = unet.integer("num_head_channels", -1, -1) != -1;
  UnetConfig out;
  out.fields = {.config = "unet config.params.unet_config.params",
                .channels = "channel_mult",
                .layers = "num_res_blocks",
                .heads = widths ? "num_head_channels" : "num_heads",
                .depth = "transformer_depth",
                .context_width = "context_dim",
                .sample_size = "image_size"};
  out.channels = unet.multiples("model_channels", "channel_mult", bounds::kChannels);
  const size_t levels = checked_levels(unet, out, "channel_mult");
  out.in_channels = unet.integer("in_channels");
  out.out_channels = unet.integer("out_channels");
  out.context_width = unet.integer("context_dim");
  // Levels that attend are given by how much smaller than the input they are.
  const std::vector<int> rates = unet.integers("attention_resolutions");
  Alike blocks{{}, {}, UnetAttention::transformer, unet.integer("num_res_blocks")};
  for (size_t level = 0; level < levels; ++level)
    blocks.down.push_back(contains(rates, 1 << level));
  blocks.up = reversed(blocks.down);
  for (const int channels : out.channels)
    blocks.heads.push_back(widths ? channels / unet.integer("num_head_channels")
                                  : unet.integer("num_heads"));
  blocks.depth = unet.integer("transformer_depth", 1);
  set_blocks(blocks, out);
  out.norms_counted = false;
  out.sample_height = out.sample_width = unet.integer("image_size", 64);
  out.naming = openai_unet_naming(blocks.layers, blocks.up, "model.diffusion_model.");
  return out;
}

}  // namespace deepcache

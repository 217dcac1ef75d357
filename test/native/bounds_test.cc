// What configurations and requests may ask for: everything else is refused before it is planned.

#include <string>

#include "config_corpus.h"
#include "native/models/unet_plan.h"
#include "native/models/weight_plans.h"
#include "native/runtime/checked.h"
#include "native/runtime/error.h"
#include "test.h"

namespace deepcache {
namespace {

using test::ModelKind;

void parse(ModelKind kind, const std::string& text) {
  switch (kind) {
    case ModelKind::unet:
      weight_plans(UnetConfig::parse(text));
      return;
    case ModelKind::vae:
      weight_plans(VaeConfig::parse(text));
      return;
    case ModelKind::text_encoder:
      weight_plans(ClipTextConfig::parse(text, true));
      return;
    case ModelKind::image_encoder:
      weight_plans(ClipVisionConfig::parse(text));
      return;
  }
}

// The valid configuration with `from` replaced.
std::string changed(const char* name, const std::string& from, const std::string& to) {
  for (const test::ConfigCase& config : test::config_corpus()) {
    if (config.name != std::string(name)) continue;
    std::string text = config.text;
    const size_t at = text.find(from);
    CHECK(at != std::string::npos);
    return text.replace(at, from.size(), to);
  }
  throw test::Failure(std::string("no configuration ") + name);
}

struct Refusal {
  const char *name, *from, *to, *says;
};

const Refusal kRefusals[] = {
    // Heads that come out as 0, or leave channels over.
    {"unet_ldm", "\"num_head_channels\": 16", "\"num_head_channels\": 64", "num_head_channels"},
    {"unet_ldm", "\"num_head_channels\": 16", "\"num_head_channels\": 0", "num_head_channels"},
    {"unet_ldm", "\"num_head_channels\": 16", "\"num_heads\": 5", "num_heads"},
    {"unet", "\"attention_head_dim\": 2", "\"attention_head_dim\": 3", "attention_head_dim"},
    {"unet_video", "\"num_attention_heads\": [2, 4]", "\"num_attention_heads\": [3, 4]",
     "num_attention_heads"},
    {"unet_simple", "\"attention_head_dim\": 4", "\"attention_head_dim\": 3", "attention_head_dim"},
    {"unet_simple", "\"addition_embed_type_num_heads\": 3", "\"addition_embed_type_num_heads\": 5",
     "addition_embed_type_num_heads"},
    {"text_encoder", "\"num_attention_heads\": 2", "\"num_attention_heads\": 16",
     "num_attention_heads"},
    // Products.
    {"unet_ddpm", "\"ch\": 8, \"ch_mult\": [1, 2]", "\"ch\": 1048576, \"ch_mult\": [4096]",
     "4294967296 channels"},
    {"unet_ddpm", "\"ch\": 8, \"ch_mult\": [1, 2]", "\"ch\": 65536, \"ch_mult\": [65537]",
     "ch_mult"},
    {"unet_ldm", "\"model_channels\": 32", "\"model_channels\": 1048576", "channel_mult"},
    {"vae_vq", "\"ch\": 32, \"ch_mult\": [1, 2]", "\"ch\": 524288, \"ch_mult\": [8192]", "ch_mult"},
    {"vae_vq", "\"ch_mult\": [1, 2]", "\"ch_mult\": [1, 1048576]", "ch_mult"},
    {"image_encoder", "\"image_size\": 16, \"patch_size\": 4",
     "\"image_size\": 4096, \"patch_size\": 1", "patch_size"},
    {"image_encoder", "\"image_size\": 16", "\"image_size\": 1048576", "image_size"},
    {"image_encoder", "\"patch_size\": 4", "\"patch_size\": 17", "patch_size"},
    // Counts.
    {"unet", "\"layers_per_block\": 1", "\"layers_per_block\": 1048576", "layers_per_block"},
    {"unet", "\"layers_per_block\": 1", "\"layers_per_block\": 256", "layers_per_block"},
    {"unet_2d", "\"layers_per_block\": 1", "\"layers_per_block\": 33", "layers_per_block"},
    {"unet_video", "\"layers_per_block\": 1", "\"layers_per_block\": [40, 40]", "layers_per_block"},
    {"unet_ddpm", "\"num_res_blocks\": 1", "\"num_res_blocks\": 100", "num_res_blocks"},
    {"unet_ldm", "\"num_res_blocks\": 1", "\"num_res_blocks\": 100", "num_res_blocks"},
    {"unet_ldm", "\"transformer_depth\": 1", "\"transformer_depth\": 65", "transformer_depth"},
    {"unet", "\"transformer_layers_per_block\": 1", "\"transformer_layers_per_block\": 1048576",
     "transformer_layers_per_block"},
    // Each alone would do.
    {"unet_xl", "\"layers_per_block\": 2", "\"layers_per_block\": 32", "blocks"},
    {"unet_ddpm", "\"ch_mult\": [1, 2]", "\"ch_mult\": [1,1,1,1,1,1,1,1,1,1,1]", "ch_mult"},
    {"vae", "\"layers_per_block\": 1", "\"layers_per_block\": 1048576", "layers_per_block"},
    {"vae_vq", "\"num_res_blocks\": 1", "\"num_res_blocks\": 1048576", "num_res_blocks"},
    {"text_encoder", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1048576",
     "num_hidden_layers"},
    {"image_encoder", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1048576",
     "num_hidden_layers"},
    // Widths.
    {"unet", "\"cross_attention_dim\": 12", "\"cross_attention_dim\": 1048576",
     "cross_attention_dim"},
    {"unet", "\"in_channels\": 4", "\"in_channels\": 1048576", "in_channels"},
    {"unet", "[8, 16], \"layers", "[8, 1048576], \"layers", "block_out_channels"},
    {"unet", "\"norm_num_groups\": 4", "\"norm_num_groups\": 3", "norm_num_groups 3"},
    {"unet_ddpm", "\"norm_groups\": 4", "\"norm_groups\": 3", "norm_groups 3"},
    {"unet_ddpm", "\"out_ch\": 3", "\"out_ch\": 20000", "out_ch"},
    {"unet_xl", "\"projection_class_embeddings_input_dim\": 32",
     "\"projection_class_embeddings_input_dim\": 4", "projection_class_embeddings_input_dim"},
    {"unet_video", "\"projection_class_embeddings_input_dim\": 24",
     "\"projection_class_embeddings_input_dim\": 23", "projection_class_embeddings_input_dim"},
    {"unet_video", "\"num_frames\": 4", "\"num_frames\": 1048576", "num_frames"},
    {"unet", "\"sample_size\": 8", "\"sample_size\": 1048576", "sample_size"},
    {"unet_ddpm", "\"image_size\": 8", "\"image_size\": 1048576", "image_size"},
    {"vae_vq", "\"z_channels\": 3", "\"z_channels\": 1048576", "z_channels"},
    {"vae_vq", "\"embed_dim\": 3", "\"embed_dim\": 1048576", "embed_dim"},
    {"vae", "\"latent_channels\": 4", "\"latent_channels\": 20000", "latent_channels"},
    {"text_encoder", "\"hidden_size\": 8", "\"hidden_size\": 1048576", "hidden_size"},
    {"text_encoder", "\"max_position_embeddings\": 16", "\"max_position_embeddings\": 1048576",
     "max_position_embeddings"},
    {"image_encoder", "\"projection_dim\": 8", "\"projection_dim\": 1048576", "projection_dim"},
    {"unet_simple", "\"cross_attention_dim\": 32", "\"cross_attention_dim\": 33",
     "cross_attention_norm"},
    {"unet_simple", "\"encoder_hid_dim\": 12", "\"encoder_hid_dim\": 1048576", "encoder_hid_dim"},
    {"unet_simple", "\"encoder_hid_dim\": 12, ", "", "encoder_hid_dim"},
    {"unet_image", "\"time_embedding_dim\": 24", "\"time_embedding_dim\": 25",
     "time_embedding_dim"},
    {"unet_image", "\"time_embedding_dim\": 24", "\"time_embedding_dim\": 1048576",
     "time_embedding_dim"},
    {"unet_image", "\"projection_class_embeddings_input_dim\": 5",
     "\"projection_class_embeddings_input_dim\": 1048576", "projection_class_embeddings_input_dim"},
    {"unet_lists", "\"num_class_embeds\": 7", "\"num_class_embeds\": 1048577", "num_class_embeds"},
    {"unet_lists", "\"layers_per_block\": [1, 2]", "\"layers_per_block\": [1]", "layers_per_block"},
    {"unet_lists", "\"layers_per_block\": [1, 2]", "\"layers_per_block\": [1, 33]",
     "layers_per_block"},
    {"unet_lists", "[0, [1, 2]]", "[0, [1, 65]]", "transformer_layers_per_block"},
    {"unet_lists", "\"num_class_embeds\": 7", "\"addition_embed_type\": \"text\"",
     "class_embeddings_concat"},
    {"unet_lists", "[0, [1, 2]]", "[0, []]", "transformer_layers_per_block"},
    {"unet_lists", "[[2, 1, 1], 1]", "[[2, 1], 1]", "reverse_transformer_layers_per_block"},
    {"unet_lists", "[[2, 1, 1], 1]", "null", "reverse_transformer_layers_per_block"},
    {"unet_lists", "\"conv_out_kernel\": 5", "\"conv_out_kernel\": 17", "conv_out_kernel"},
    // Numbers that are none, or out of any sense.
    {"unet", "\"norm_eps\": 1e-5", "\"norm_eps\": 1e308", "norm_eps"},
    {"unet", "\"norm_eps\": 1e-5", "\"norm_eps\": -1", "norm_eps"},
    {"unet_simple", "\"resnet_out_scale_factor\": 1.25", "\"resnet_out_scale_factor\": 1e300",
     "resnet_out_scale_factor"},
    {"unet_simple", "\"mid_block_scale_factor\": 1.5", "\"mid_block_scale_factor\": 0",
     "mid_block_scale_factor"},
    {"unet", "\"freq_shift\": 0", "\"freq_shift\": -1e308", "freq_shift"},
    {"vae", "\"scaling_factor\": 0.18215", "\"scaling_factor\": 1e308", "scaling_factor"},
    {"vae_vq", "\"scale_factor\": 1", "\"scale_factor\": -1", "scale_factor"},
    {"text_encoder", "\"layer_norm_eps\": 1e-5", "\"layer_norm_eps\": 2", "layer_norm_eps"},
};

}  // namespace

TEST(bounds_take_every_format) {
  for (const test::ConfigCase& config : test::config_corpus()) parse(config.kind, config.text);
}

TEST(bounds_refuse_by_the_files_names) {
  for (const Refusal& refusal : kRefusals) {
    const std::string text = changed(refusal.name, refusal.from, refusal.to);
    std::string message = "nothing";
    for (const test::ConfigCase& config : test::config_corpus()) {
      if (config.name != std::string(refusal.name)) continue;
      try {
        parse(config.kind, text);
      } catch (const Error& error) {
        message = error.what();
        CHECK(error.code() == ErrorCode::kInvalidConfig);
      }
    }
    if (message.find(refusal.says) == std::string::npos)
      test::fail(__FILE__, __LINE__,
                 std::string(refusal.name) + " with " + refusal.to + " gave: " + message);
  }
}

TEST(bounds_of_the_text) {
  CHECK_THROWS(UnetConfig::parse(std::string(size_t(5) << 20, ' ')), ErrorCode::kInvalidConfig);
}

// Requests of sizes whose rows, strides or tokens wrap in 32 bits.
TEST(bounds_of_requests) {
  const auto refused = [](const UnetConfig& config, const UnetShape& shape) {
    CHECK_THROWS(plan_unet(config, shape, {}), ErrorCode::kInvalidArgument);
  };
  const auto config = [](const char* name) {
    for (const test::ConfigCase& config : test::config_corpus())
      if (config.name == std::string(name)) return UnetConfig::parse(config.text);
    throw test::Failure(name);
  };
  refused(config("unet"), {1024, 8192, 8192, 77, 1});
  refused(config("unet"), {0, 8, 8, 77, 1});
  refused(config("unet"), {1, 8, -8, 77, 1});
  refused(config("unet"), {1, 8, 8, 0, 1});
  refused(config("unet_video"), {32, 8192, 8192, 1, 1, 32});
  UnetShape interleaved{64, 4096, 4096, 65536, 1, 32, true};
  refused(config("unet_video"), interleaved);
  CHECK_THROWS(plan_unet_context(config("unet_video"), interleaved), ErrorCode::kInvalidArgument);
  CHECK_THROWS(plan_unet_time(config("unet_xl"), 1, 1, 1 << 30), ErrorCode::kInvalidArgument);
}

TEST(checked_numbers_do_not_wrap) {
  CHECK_EQ((Extent(46341) * 46340).value("rows"), 46341 * 46340);
  CHECK(!(Extent(46341) * 46341).fits());
  CHECK(!(Extent(65536) * 65536).fits());
  CHECK(!(Extent(2147483647) + 1).fits());
  CHECK_EQ((Extent(2147483646) + 1).value("rows"), 2147483647);
  CHECK(!Extent(int64_t(1) << 32).fits());
  CHECK(!Extent(-1).fits());
  CHECK(!(Extent(-1) * 0).fits());
  CHECK_EQ((Extent(0) * 2147483647).value("rows"), 0);
  CHECK(!(Count(size_t(1) << 32) * (size_t(1) << 32)).fits());
  CHECK_EQ((Count(size_t(1) << 32) * (size_t(1) << 31)).value("bytes"), size_t(1) << 63);
  CHECK_THROWS((Count(SIZE_MAX) + 1).value("bytes"), ErrorCode::kInvalidArgument);
}

}  // namespace deepcache

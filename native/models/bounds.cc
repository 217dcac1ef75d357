#include "bounds.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "../runtime/error.h"

namespace deepcache {
namespace {

std::string to_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

// One configuration's checks, by the file's names of fields.
class Checks {
 public:
  explicit Checks(const std::string& config) : config_(config) {}

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorCode::kInvalidConfig, config_ + " " + problem);
  }

  // Not a number is in no range.
  void within(const char* field, double value, double lowest, double highest) const {
    if (value >= lowest && value <= highest) return;
    fail("has \"" + std::string(field) + "\": " + to_text(value) + "; it must be between " +
         to_text(lowest) + " and " + to_text(highest));
  }
  void within(const char* field, const std::vector<int>& values, int lowest, int highest) const {
    for (const int value : values) within(field, value, lowest, highest);
  }

  void levels(const char* field, size_t count, int highest) const {
    if (count < 1 || count > size_t(highest))
      fail("must have 1 to " + std::to_string(highest) + " levels in \"" + field + "\"");
  }

  void groups(const char* field, int groups, const std::vector<int>& channels) const {
    within(field, groups, 1, bounds::kGroups);
    for (const int count : channels)
      if (count % groups)
        fail("has " + std::to_string(count) + " channels, which " + field + " " +
             std::to_string(groups) + " does not divide");
  }

  void heads(const char* field, int heads, int width) const {
    if (heads < 1 || width % heads)
      fail("has " + std::to_string(width) + " channels for " + std::to_string(heads) +
           " attention heads (\"" + field + "\")");
  }

 private:
  const std::string& config_;
};

// Resnets and transformer blocks of a full pass.
int64_t count_blocks(const UnetConfig& config) {
  const int64_t times = config.takes_videos() ? 2 : 1;  // along the frames too
  int64_t blocks = 0;
  const auto add = [&](const UnetBlock& block) {
    blocks += block.layers;
    if (block.attention == UnetAttention::transformer)
      for (int i = 0; i < block.layers; ++i) blocks += block.depth[size_t(i)];
  };
  add(config.mid);
  for (const auto* list : {&config.down, &config.up})
    for (const UnetBlock& block : *list) add(block);
  return times * blocks;
}

// What both of CLIP's encoders have.
void validate_encoder(const Checks& check, const auto& config) {
  check.within("hidden_size", config.width, 1, bounds::kEncoderWidth);
  check.within("intermediate_size", config.mlp_width, 1, bounds::kMlpWidth);
  check.within("num_hidden_layers", config.layers, 1, bounds::kEncoderLayers);
  check.within("layer_norm_eps", config.epsilon, 0, bounds::kEpsilon);
  check.within("projection_dim", config.projection, 0, bounds::kMlpWidth);
  check.heads("num_attention_heads", config.heads, config.width);
}

}  // namespace

void validate(const UnetConfig& config) {
  const UnetFields& names = config.fields;
  const Checks check(names.config);
  check.levels(names.channels, config.channels.size(), bounds::kLevels);
  check.within(names.channels, config.channels, 1, bounds::kChannels);
  check.within(names.in_channels, config.in_channels, 1, bounds::kChannels);
  check.within(names.out_channels, config.out_channels, 1, bounds::kChannels);
  const int levels = config.levels();
  for (int i = 0; i < levels; ++i) {
    check.within(names.layers, config.down[i].layers, 1, bounds::kLayers);
    check.within(names.depth, config.down[i].depth, 0, bounds::kDepth);
    check.within(names.depth, config.up[i].depth, 0, bounds::kDepth);
  }
  check.groups(names.groups, config.groups, config.channels);
  check.within(names.context_width, config.context_width, 0, bounds::kContextWidth);
  check.within("norm_eps", config.epsilon, 0, bounds::kEpsilon);
  check.within("freq_shift", config.freq_shift, -bounds::kFrequencyShift, bounds::kFrequencyShift);
  check.within(names.sample_size, config.sample_height, 1, bounds::kSide);
  check.within(names.sample_size, config.sample_width, 1, bounds::kSide);
  check.within("time_cond_proj_dim", config.time_cond_width, 0, bounds::kAddedWidth);
  check.within("num_frames", config.frames, 1, bounds::kFrames);
  if (config.motion) validate(*config.motion, config);
  for (int i = 0; i < levels; ++i)
    for (const UnetBlock* block : {&config.down[i], &config.up[levels - 1 - i], &config.mid})
      if (block->attends() && (block != &config.mid || i == levels - 1))
        check.heads(names.heads, block->heads, config.channels[i]);
  const UnetEmbeddings& embeddings = config.embeddings;
  check.within("num_class_embeds", embeddings.class_count, 0, bounds::kCodes);
  check.within("projection_class_embeddings_input_dim", embeddings.class_width, 1,
               bounds::kAddedWidth);
  if (embeddings.addition == UnetAddition::text)
    check.heads("addition_embed_type_num_heads", embeddings.addition_heads, config.text_width());
  const bool attends_added = std::ranges::any_of(config.down, [](const UnetBlock& block) {
    return block.attention == UnetAttention::added_kv;
  });
  if (config.norm_contexts && !config.norm_contexts_by_token && attends_added)
    check.groups("cross_attention_norm", bounds::kNormGroups, {config.context_width});
  if (const int64_t blocks = count_blocks(config); blocks > bounds::kBlocks)
    check.fail("is of " + std::to_string(blocks) + " resnets and transformer blocks (\"" +
               names.channels + "\", \"" + names.layers + "\", \"" + names.depth + "\"); at most " +
               std::to_string(bounds::kBlocks) + " are taken");
  if (!config.has_time_ids()) return;
  const int width = config.addition_time_width, input = config.addition_input_width;
  check.within("addition_time_embed_dim", width, 1, bounds::kAddedWidth);
  check.within("projection_class_embeddings_input_dim", input, 1, bounds::kAddedWidth);
  if (config.video ? input % width != 0 : input <= width)
    check.fail("has a \"projection_class_embeddings_input_dim\" of " + std::to_string(input) +
               (config.video
                    ? " that addition_time_embed_dim does not divide"
                    : ", which leaves nothing for the text beside addition_time_embed_dim"));
}

void validate(const VaeConfig& config) {
  const VaeFields& names = config.fields;
  const Checks check(names.config);
  check.levels(names.channels, config.channels.size(), bounds::kVaeLevels);
  check.within(names.channels, config.channels, 1, bounds::kChannels);
  check.within(names.in_channels, config.in_channels, 1, bounds::kChannels);
  check.within(names.out_channels, config.out_channels, 1, bounds::kChannels);
  check.within(names.latent_channels, config.latent_channels, 1, bounds::kChannels);
  check.within(names.code_channels, config.code_channels, 1, bounds::kChannels);
  check.within(names.codes, config.codes, 0, bounds::kCodes);
  check.within(names.layers, config.layers, 1, bounds::kLayers);
  check.groups(names.groups, config.groups, config.channels);
  check.within("up_block_out_channels", config.decoder_channels, 1, bounds::kChannels);
  check.within("layers_per_up_block", config.decoder_layers, 1, bounds::kLayers);
  check.groups(names.groups, config.groups, config.decoder_channels);
  check.within("num_encoder_blocks", config.encoder_blocks, 0, bounds::kLayers);
  check.within("num_decoder_blocks", config.decoder_blocks, 0, bounds::kLayers);
  if (!(config.scaling_factor > 0))
    check.fail("must have a \"" + std::string(names.scaling_factor) + "\" above 0");
  check.within(names.scaling_factor, config.scaling_factor, 0, bounds::kScalingFactor);
}

void validate(const ClipTextConfig& config) {
  const std::string name = "text encoder config";
  const Checks check(name);
  validate_encoder(check, config);
  check.within("max_position_embeddings", config.positions, 1, bounds::kPositions);
  check.within("vocab_size", config.vocabulary, 1, bounds::kVocabulary);
}

void validate(const ClipVisionConfig& config) {
  const std::string name = "image encoder config";
  const Checks check(name);
  validate_encoder(check, config);
  check.within("num_channels", config.channels, 1, bounds::kChannels);
  check.within("image_size", config.image_size, 1, bounds::kPictureSide);
  check.within("patch_size", config.patch_size, 1, config.image_size);
  if (config.tokens() > bounds::kPositions)
    check.fail("makes " + std::to_string(config.tokens()) +
               " tokens of a picture (\"image_size\", \"patch_size\"); at most " +
               std::to_string(bounds::kPositions) + " are taken");
}

void validate(const IpAdapterConfig& config) {
  const std::string name = "IP-Adapter";
  const Checks check(name);
  check.within("image_width", config.image_width, 1, bounds::kEncoderWidth);
  check.within("tokens", config.tokens, 1, bounds::kImageTokens);
  check.within("cross_attention_dim", config.context_width, 1, bounds::kContextWidth);
  check.within("attention_channels", config.channels, 1, bounds::kChannels);
  if (config.channels.size() > size_t(bounds::kBlocks)) check.fail("has too many attentions");
  check.within("width", config.width, 1, bounds::kEncoderWidth);
  check.within("layers", config.layers, 1, bounds::kEncoderLayers);
  check.within("heads", config.heads, 1, bounds::kEncoderWidth);
  check.within("head_width", config.head_width, 1, bounds::kEncoderWidth);
  check.within("heads * head_width", double(config.heads) * config.head_width, 1,
               bounds::kEncoderWidth);
  check.within("mlp_width", config.mlp_width, 1, bounds::kMlpWidth);
}

void validate(const T2iAdapterConfig& config) {
  const std::string name = "T2I-Adapter config";
  const Checks check(name);
  check.within("in_channels", config.in_channels, 1, bounds::kImageChannels);
  check.levels("channels", config.channels.size(), bounds::kLevels);
  check.within("channels", config.channels, 1, bounds::kChannels);
  check.within("num_res_blocks", config.res_blocks, 1, bounds::kLayers);
  check.within("downscale_factor", config.downscale_factor, 1, bounds::kDownscale);
  if (config.kind != T2iAdapterKind::light) return;
  for (const int channels : config.channels)
    if (channels % 4) check.fail("has \"channels\" that are no multiples of 4");
}

}  // namespace deepcache

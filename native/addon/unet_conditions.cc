#include "unet_conditions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "ip_adapter.h"
#include "models/context_mask.h"
#include "models/unet_layout.h"
#include "models/unet_plan.h"
#include "runtime/error.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxContext = 1 << 16;
constexpr int kMaxRepeated = 1 << 13;

void refuse(const Argument& given, const std::string& why) {
  if (given.given())
    throw Error(ErrorCode::kInvalidArgument, given.name() + " must be left out: this U-Net " + why);
}

// Ones for the tokens that are read, zeros for the others.
void parse_mask(const Argument& in, const UnetConfig& config, size_t n, ConditionArrays& arrays,
                UnetConditions& out) {
  if (!in.given()) return;
  const UnetEmbeddings& embeddings = config.embeddings;
  if (embeddings.addition == UnetAddition::text ||
      embeddings.contexts == UnetContexts::text_image_proj ||
      (config.norm_contexts && !config.norm_contexts_by_token))
    throw Error(ErrorCode::kUnsupported,
                in.name() + ": this U-Net reads all tokens of a text together");
  const size_t length = size_t(out.context_length);
  const Floats mask = in.floats({n, length});
  std::vector<bool> kept;
  for (size_t i = 0; i < n * length; ++i) {
    const float value = mask.data()[i];
    if (value != 0 && value != 1) in.fail("of zeros and ones", std::to_string(value));
    kept.push_back(value == 1);
  }
  MaskedContexts read = without_masked(out.context, kept, int(n), out.context_length,
                                       config.text_width(), kMaxRepeated);
  arrays.unmasked = std::move(read.values);
  out.context = arrays.unmasked.data();
  out.context_length = read.length;
}

void parse_context(const Argument& in, const UnetConfig& config, size_t n, ConditionArrays& arrays,
                   UnetConditions& out) {
  const Argument context = in["context"], length = in["contextLength"], mask = in["contextMask"];
  if (config.text_width() > 0) {
    out.context_length = int(length.integer(1, kMaxContext));
    arrays.context = context.floats({n, size_t(out.context_length), size_t(config.text_width())});
    out.context = arrays.context.data();
    parse_mask(mask, config, n, arrays, out);
  } else {
    for (const Argument& given : {context, length, mask})
      refuse(given, "has no cross-attention, or none of a text");
  }
}

// Image embeddings and class labels, which must be given where the U-Net has them.
void parse_image_and_classes(const Argument& in, const UnetConfig& config, size_t n,
                             ConditionArrays& arrays, UnetConditions& out) {
  const Argument image = in["imageEmbeds"], labels = in["classLabels"];
  const UnetEmbeddings& embeddings = config.embeddings;
  if (config.image_width() > 0) {
    arrays.image_embeds = image.floats({n, size_t(config.image_width())});
    out.image_embeds = arrays.image_embeds.data();
  } else {
    refuse(image, "takes no image embeddings");
  }
  if (embeddings.classes == UnetClasses::none) {
    refuse(labels, "has no classes");
    return;
  }
  arrays.class_labels = labels.floats({n, size_t(embeddings.class_width)});
  out.class_labels = arrays.class_labels.data();
  if (embeddings.classes != UnetClasses::table) return;
  for (size_t i = 0; i < n; ++i) {
    const float label = out.class_labels[i];
    if (label < 0 || label >= float(embeddings.class_count) || label != std::floor(label))
      labels.fail("whole numbers from 0 to " + std::to_string(embeddings.class_count - 1),
                  std::to_string(label));
  }
}

// What joins the time embedding: of a pooled text, and of sizes or the like.
void parse_added(const Argument& in, const UnetConfig& config, size_t n, ConditionArrays& arrays,
                 UnetConditions& out) {
  const Argument embeds = in["textEmbeds"], ids = in["timeIds"];
  if (config.embeddings.addition == UnetAddition::text_image) {
    refuse(ids, "takes no time ids");
    arrays.text_embeds = embeds.floats({n, size_t(config.text_width())});
    out.text_embeds = arrays.text_embeds.data();
    return;
  }
  if (!config.text_time()) {
    if (config.video) {
      arrays.time_ids = ids.floats({n, size_t(config.some_time_ids())});
      out.time_ids = arrays.time_ids.data();
      out.time_ids_count = config.some_time_ids();
    }
    refuse(embeds, "takes no added conditions");
    if (!config.video) refuse(ids, "takes no added conditions");
    return;
  }
  arrays.time_ids = ids.floats_of_multiple({n});
  out.time_ids_count = int(std::min<size_t>(arrays.time_ids.size() / n, 1 << 20));
  arrays.text_embeds = embeds.floats({n, size_t(pooled_text_width(config, out.time_ids_count))});
  out.time_ids = arrays.time_ids.data();
  out.text_embeds = arrays.text_embeds.data();
}

// diffusers: UpBlock2D and CrossAttnUpBlock2D have FreeU.
bool has_free_u(const UnetConfig& config) {
  const auto has = [](const UnetBlock& block) {
    return !block.resnet_resampler &&
           (!block.attends() || block.attention == UnetAttention::transformer);
  };
  return !config.video && !config.control && has(config.up[0]) &&
         has(config.up.size() > 1 ? config.up[1] : config.up[0]);
}

std::optional<std::array<float, 4>> parse_free_u(const Argument& in, const UnetConfig& config) {
  if (!in.given()) return std::nullopt;
  if (!has_free_u(config))
    throw Error(ErrorCode::kUnsupported, in.name() + ": this network has no FreeU");
  std::array<float, 4> out;
  size_t place = 0;
  for (const char* name : {"b1", "s1", "b2", "s2"}) out[place++] = float(in[name].number());
  return out;
}

// Places of transformer blocks, each once.
std::vector<int> parse_perturbed(const Argument& in, const UnetConfig& config) {
  if (!in.given()) return {};
  const std::vector<UnetLayout::Context> contexts = UnetLayout(config).contexts;
  const auto is_usual = [](const UnetLayout::Context& context) {
    return context.kind == UnetLayout::Context::Kind::cross;
  };
  if (contexts.empty() || !std::ranges::all_of(contexts, is_usual) || config.takes_videos() ||
      config.control)
    throw Error(ErrorCode::kUnsupported, in.name() + ": this network has no such attention");
  std::vector<int> out = in.integers(contexts.size(), 0, int(contexts.size()) - 1);
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

UnetConditions parse_conditions(const Argument& in, const UnetConfig& config, size_t n,
                                ConditionArrays& arrays) {
  UnetConditions out;
  out.free_u = parse_free_u(in["freeU"], config);
  out.perturbed = parse_perturbed(in["perturbed"], config);
  out.image_prompts = parse_image_prompts(in["imagePrompts"], config, n, arrays.image_tokens);
  parse_context(in, config, n, arrays, out);
  const Argument cond = in["timestepCond"];
  if (!config.time_cond_width) refuse(cond, "takes no embedded guidance scale");
  if (cond.given()) {
    arrays.timestep_cond = cond.floats({n, size_t(config.time_cond_width)});
    out.timestep_cond = arrays.timestep_cond.data();
  }
  parse_image_and_classes(in, config, n, arrays, out);
  parse_added(in, config, n, arrays, out);
  return out;
}

}  // namespace deepcache::addon

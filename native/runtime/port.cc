#include "port.h"

#include <array>

namespace deepcache {

std::string to_string(Port port) {
  static constexpr std::array kNames = {
      "sample",         "time",           "context",        "position",
      "feature",        "kept_feature",   "feature_change", "feature_gamma",
      "residual",       "residual_scale", "block_feature",  "hint",
      "extra_context",  "free_u",         "kept_cross",     "kept_self",
      "attention_mass", "degrading",      "degraded",       "out",
      "text",           "level_text",     "scaled_text",    "frames",
      "timesteps",      "timestep_cond",  "time_ids",       "text_embeds",
      "image_embeds",   "class_labels",   "control_kinds",  "ids",
      "added_rows",     "pooled_index",   "hidden",         "last",
      "pooled",         "image",          "class_token",    "embeds",
      "latent",         "moments",        "kept_image",     "mask"};
  static_assert(kNames.size() == size_t(PortKind::mask) + 1);
  std::string out = kNames[size_t(port.kind)];
  if (port.index >= 0) out += "." + std::to_string(port.index);
  return out;
}

}  // namespace deepcache

#pragma once

// CLIP's image encoder (transformers' CLIPVisionModelWithProjection) as a plan.

#include <string>

#include "../runtime/plan.h"

namespace deepcache {

struct ClipVisionConfig {
  int width = 768, mlp_width = 3072, layers = 12, heads = 12;
  int channels = 3, image_size = 224, patch_size = 32;
  int projection = 512;
  float epsilon = 1e-5f;
  Activation activation = Activation::quick_gelu;

  static ClipVisionConfig parse(const std::string& json);

  // Of a picture: the class token and one for each patch.
  int tokens() const { return 1 + (image_size / patch_size) * (image_size / patch_size); }
};

// image [n, size, size, channels], normalised; class_token i32 [n, 1, 1, 1], zeros; position i32
// [1, 1, tokens, 1], the numbers from 0 -> hidden, what enters the last layer, and last, what
// leaves it [n, 1, tokens, width], and embeds [n, 1, 1, projection].
Plan plan_clip_vision(const ClipVisionConfig& config, int batch);

}  // namespace deepcache

#pragma once

// IP-Adapter as plans: what an image encoder makes of a picture becomes tokens, and these become
// keys and values for every cross attention of a U-Net.

#include <string>
#include <vector>

#include "../runtime/plan.h"

namespace deepcache {

// How pictures become tokens.
enum class ImageProjection {
  linear,     // a picture's embedding, one linear layer and a norm
  resampler,  // learned tokens that look at all of the encoder's (Plus)
};

struct IpAdapterConfig {
  ImageProjection projection = ImageProjection::linear;
  int image_width = 1024;       // of the encoder's embedding, or of its tokens
  int tokens = 4;               // that a picture becomes
  int context_width = 768;      // of such a token
  std::vector<int> channels;    // of the U-Net's cross attentions, in the order of a full pass
  int width = 768, layers = 4;  // of a resampler
  int heads = 12, head_width = 64;
  int mlp_width = 3072;

  static IpAdapterConfig parse(const std::string& json);
};

// image [n, 1, length, image width] (one row for a linear projection) -> embeds [n, 1, tokens,
// context width]; with a resampler also position i32 [1, 1, tokens, 1], the numbers from 0.
Plan plan_image_projection(const IpAdapterConfig& config, int batch, int length);

// Keys and values of `tokens` image tokens for cross attention i: text [n, 1, tokens, context
// width] -> extra_context.<2i> [n, 1, tokens, channels], and scaled_text.<i>, the same tokens times
// the adapter's scale there -> extra_context.<2i+1>. A value that is scaled is what its attention
// gives, scaled.
Plan plan_image_keys(const IpAdapterConfig& config, int batch, int tokens);

}  // namespace deepcache

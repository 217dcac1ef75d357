#pragma once

// The image autoencoder of latent diffusion models (diffusers' AutoencoderKL) as plans.

#include <string>
#include <vector>

#include "../runtime/plan.h"

namespace deepcache {

struct VaeConfig {
  int in_channels = 3, out_channels = 3, latent_channels = 4;
  std::vector<int> channels;  // block_out_channels, the finest level first
  int layers = 2;             // layers_per_block
  int groups = 32;            // norm_num_groups
  bool quant_conv = true, post_quant_conv = true;
  bool mid_attention = true;
  double scaling_factor = 0.18215;

  static VaeConfig parse(const std::string& json);

  // Image pixels of a latent one, in each axis.
  int scale() const { return 1 << (channels.size() - 1); }
};

// "image" [n, h, w, in] in [-1, 1], any size of at least scale() -> "moments": mean and log
// variance [n, h / scale, w / scale, 2 * latent].
Plan plan_vae_encode(const VaeConfig& config, int batch, int height, int width);
// "latent" (divided by the scaling factor) [n, h, w, latent] -> "image" [n, h * scale, w * scale,
// out], in [-1, 1] but not clamped.
Plan plan_vae_decode(const VaeConfig& config, int batch, int height, int width);

}  // namespace deepcache

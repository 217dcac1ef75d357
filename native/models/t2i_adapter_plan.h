#pragma once

// T2I-Adapters (diffusers' T2IAdapter, Mou et al. 2023): small networks that see a picture once for
// a run. What they make of it is added to the U-Net at the end of each level.

#include <string>
#include <vector>

#include "../runtime/plan.h"
#include "unet_plan.h"

namespace deepcache {

enum class T2iAdapterKind : uint8_t {
  full,   // full_adapter: half the size from level to level
  xl,     // full_adapter_xl: half the size before the third level only
  light,  // light_adapter: narrow inside
};

struct T2iAdapterConfig {
  T2iAdapterKind kind = T2iAdapterKind::full;
  int in_channels = 3;
  std::vector<int> channels = {320, 640, 1280, 1280};  // of a light one without the last level's
  int res_blocks = 2;                                  // num_res_blocks, of each level
  int downscale_factor = 8;  // squares of so many pixels a side become channels first

  static T2iAdapterConfig parse(const std::string& json);

  int features() const { return int(channels.size()) + (kind == T2iAdapterKind::light ? 1 : 0); }
  // Channels of a feature.
  int width(int feature) const;
  // Whether it has half the size of the one before.
  bool halves(int feature) const;
};

// image [n, height, width, in], both multiples of the downscale factor -> block_feature.<i>.
Plan plan_t2i_adapter(const T2iAdapterConfig& config, int batch, int height, int width);

// Pixels of the picture for one of the U-Net's, in each axis. Throws Error(kInvalidArgument) unless
// the features have the shapes of the U-Net's levels.
int require_fit(const T2iAdapterConfig& adapter, const UnetConfig& unet);

}  // namespace deepcache

#pragma once

// Pictures that prompt a U-Net's run (IP-Adapter).

#include <memory>
#include <vector>

#include "ip_adapter.h"
#include "unet_config.h"

namespace deepcache {

// Of one adapter, for all samples of a pass.
struct ImagePrompt {
  std::shared_ptr<IpAdapter> adapter;
  const float* tokens = nullptr;  // [n, count, context width]
  int count = 0;                  // of each sample
  std::vector<float> scales;      // of each cross attention
};

// For UnetExtras.
std::vector<int> image_tokens(const std::vector<ImagePrompt>& prompts);

// Throws Error(kInvalidArgument) unless the adapter is for a U-Net of this kind.
void require_fit(const IpAdapterConfig& adapter, const UnetConfig& unet);

}  // namespace deepcache

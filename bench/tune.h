#pragma once

#include <string>
#include <vector>

#include "device.h"

namespace deepcache::bench {

// Measures the tiles of the products of models' U-Nets (native/cuda/tuning.h) and keeps them in the
// GPU's tuning file; prints what the model of the time would have chosen beside it, with both
// times. `limit`: seconds after which no further product is begun.
void tune(const Device& device, const std::vector<std::string>& models,
          const std::vector<int>& batches, int side, double limit, const std::string& filter,
          const std::string& json);

}  // namespace deepcache::bench

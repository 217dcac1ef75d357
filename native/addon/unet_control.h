#pragma once

#include <memory>
#include <vector>

#include "arguments.h"
#include "models/unet.h"

namespace deepcache::addon {

class SharedUnet;

// What UnetControl points into: arrays, and networks, which live as long as the job.
struct ControlArrays {
  std::vector<std::shared_ptr<SharedUnet>> networks;
  std::vector<Floats> images, features;
};

// `images` and `kinds` of the request: the pictures of a ControlNet, as many of each as divide
// `most`.
ControlNetUse parse_pictures(const Argument& in, const UnetConfig& config, const UnetShape& shape,
                             int most, ControlArrays& arrays);

// `controls` and `blockFeatures` of the request: ControlRequest of lib/native/types.ts. `images` of
// the run and `rows` of its table; 1 for a single pass.
UnetControl parse_control(const Argument& in, const UnetConfig& config, const UnetShape& shape,
                          int images, size_t rows, ControlArrays& arrays);

}  // namespace deepcache::addon

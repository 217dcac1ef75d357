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

// The image of ControlNetUse: a multiple of one picture's values. Returns how many there are.
int parse_control_image(const Argument& in, const UnetConfig& config, int height, int width,
                        Floats& image);

// `controls` and `blockFeatures` of the request: ControlRequest of lib/native/types.ts. `images` of
// the run and `rows` of its table; 1 for a single pass.
UnetControl parse_control(const Argument& in, const UnetConfig& config, const UnetShape& shape,
                          int images, size_t rows, ControlArrays& arrays);

}  // namespace deepcache::addon

#pragma once

// Denoising runs with a scheduler of our own making: DDIM's arithmetic on synthetic latents.

#include "models.h"

namespace deepcache::bench {

class DenoiseInputs {
 public:
  // `images` of classifier-free guidance: the model's batch is twice as large.
  DenoiseInputs(const UnetConfig& config, int images, int height, int width, int tokens);
  // A run of `steps`, each `interval`th full, the others retrieving at `branch`. The inputs must
  // outlive it.
  UnetDenoise run(int steps, int interval, int branch) const;

 private:
  int images_, height_, width_;
  UnetInputs inputs_;
};

}  // namespace deepcache::bench

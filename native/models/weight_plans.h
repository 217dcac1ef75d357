#pragma once

// Which weights a model has: the plans that together name all of them, each in the smallest shape.

#include <memory>
#include <vector>

#include "clip_text.h"
#include "clip_vision.h"
#include "super_resolution.h"
#include "t2i_adapter_plan.h"
#include "unet_plan.h"
#include "vae.h"

namespace deepcache {

std::vector<Plan> weight_plans(const UnetConfig& config);
// The decoder's first, then the encoder's where there is one.
std::vector<Plan> weight_plans(const VaeConfig& config);
std::vector<Plan> weight_plans(const ClipTextConfig& config);
std::vector<Plan> weight_plans(const ClipVisionConfig& config);
std::vector<Plan> weight_plans(const SuperResolutionConfig& config);
std::vector<Plan> weight_plans(const T2iAdapterConfig& config);

// Synthetic values (runtime/synth.h) for all weights that the plans name.
std::shared_ptr<WeightSource> synthetic_weights(const std::vector<Plan>& plans);

}  // namespace deepcache

#include "weight_plans.h"

#include <algorithm>

#include "../runtime/synth.h"
#include "controlnet.h"

namespace deepcache {

std::vector<Plan> weight_plans(const UnetConfig& config) {
  const int side = 1 << (config.levels() - 1);
  std::vector<Plan> plans;
  if (config.control) {
    plans.push_back(plan_controlnet(config, {1, side, side, 1, 1}));
    plans.push_back(plan_control_hint(config, 1, side, side));
  } else {
    plans.push_back(plan_unet(config, {1, side, side, 1, 1}, {}));
  }
  plans.push_back(plan_unet_context(config, 1, 1));
  plans.push_back(plan_unet_time(config, 1, 1, config.some_time_ids()));
  return plans;
}

std::vector<Plan> weight_plans(const VaeConfig& config) {
  std::vector<Plan> plans;
  // Of a masked one as large as the condition's encoder reaches down.
  const int side = config.masked ? std::max(1, 16 / config.scale()) : 1;
  plans.push_back(plan_vae_decode(config, 1, side, side, {.keep = config.masked}));
  if (config.encoder) plans.push_back(plan_vae_encode(config, 1, config.scale(), config.scale()));
  return plans;
}

std::vector<Plan> weight_plans(const ClipTextConfig& config) {
  std::vector<Plan> plans;
  plans.push_back(plan_clip_text(config, 1, 1, 0));
  return plans;
}

std::vector<Plan> weight_plans(const ClipVisionConfig& config) {
  std::vector<Plan> plans;
  plans.push_back(plan_clip_vision(config, 1));
  return plans;
}

std::vector<Plan> weight_plans(const SuperResolutionConfig& config) {
  std::vector<Plan> plans;
  plans.push_back(plan_super_resolution(config, 1, config.unshuffle, config.unshuffle));
  return plans;
}

std::vector<Plan> weight_plans(const T2iAdapterConfig& config) {
  std::vector<Plan> plans;
  plans.push_back(plan_t2i_adapter(config, 1, config.downscale_factor, config.downscale_factor));
  return plans;
}

std::shared_ptr<WeightSource> synthetic_weights(const std::vector<Plan>& plans) {
  std::vector<WeightSpec> specs;
  for (const Plan& plan : plans)
    specs.insert(specs.end(), plan.weights().begin(), plan.weights().end());
  return std::make_shared<SyntheticWeights>(synthetic_tensors(specs));
}

}  // namespace deepcache

#pragma once

#include <vector>

#include "arguments.h"
#include "models/unet.h"

namespace deepcache::addon {

// The arrays that UnetConditions points into.
struct ConditionArrays {
  Floats context, text_embeds, time_ids, timestep_cond, image_embeds, class_labels;
  std::vector<float> unmasked;  // of the context
  std::vector<Floats> image_tokens;
};

// UnetConditions of lib/native/types.ts, of `n` samples (videos for a U-Net of videos), the outputs
// of guidance included. What the U-Net reads must be given, what it does not read must not.
UnetConditions parse_conditions(const Argument& in, const UnetConfig& config, size_t n,
                                ConditionArrays& arrays);

}  // namespace deepcache::addon

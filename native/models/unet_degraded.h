#pragma once

// Self-attention guidance (Hong et al. 2023; diffusers: StableDiffusionSAGPipeline). A sample's
// last output is computed on degraded latents: a pass of the outputs before it leaves how much
// attention each pixel of the mid block gets; where that is more than the mean, the clean latents
// that the first output promises are blurred, and noised again as they were.

#include <vector>

#include "unet_layout.h"
#include "unet_plan.h"

namespace deepcache {

// The transformer block whose self attention counts: the mid block's first. Throws
// Error(kUnsupported) for a U-Net without.
const UnetTransformerBlock& mid_self_attention(const UnetLayout& layout);

// sample [b, h, w, in] and out [b, h, w, out] of the first output, attention_mass, degrading
// [b, 1, 1, 3] stepped: MaskedBlur's factors -> degraded [b, h, w, in], the last output's sample. b
// are the samples of one output.
Plan plan_degraded(const UnetConfig& config, const UnetShape& shape);

// attention_mass: [b, h, w, heads] of the mid block.
Shape attention_mass_shape(const UnetConfig& config, const UnetShape& shape);

// Values of `degrading`, for all rows.
std::vector<float> degrading_factors(const StepTable& table, int batch);

}  // namespace deepcache

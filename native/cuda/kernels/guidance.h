#pragma once

// Guidance of a row's outputs: see guidance.cu.

#include "cuda/kernels/sampler_call.h"

namespace deepcache::cuda {

// What leaves a number of a whole sample behind, where rows ask for it: factors of the outputs,
// then that of the rescaling.
void launch_guidance(LoopState* loop, const SamplerShape& shape, SamplerFeatures features,
                     Stream stream);

// Of a rule: the factors of u (0), c (1) and d (2).
DEVICE float& rule_factor(const SamplerCall& c, int which, int sample) {
  return c.scratch[(kFactorsPlace + size_t(which)) * size_t(c.shape.batch) + size_t(sample)];
}

DEVICE float* average(const SamplerCall& c) {
  return c.at.history[int(c.row.rule.average) - kFirstHistorySlot];
}

DEVICE float guided(const SamplerCall& c, int sample, size_t i) {
  const size_t each = size_t(c.shape.batch) * sample_size(c);
  const float* const e = c.at.model_output + i;
  float m;
  if (c.row.rule.kind != GuidanceRule::Kind::linear) {
    const float d = c.row.rule.has_momentum ? average(c)[i] : e[each] - e[0];
    m = rule_factor(c, 0, sample) * e[0] + rule_factor(c, 1, sample) * e[each] +
        rule_factor(c, 2, sample) * d;
  } else {
    m = e[0] + value(c, c.row.guidance_scale, sample) * (e[each] - e[0]);
  }
  if (c.row.guided_by_third) m += value(c, c.row.guidance_third, sample) * (e[2 * each] - e[0]);
  return m;
}

DEVICE bool rescaled(const SamplerCall& c, int sample) {
  return c.row.guided && value(c, c.row.guidance_rescale, sample) != 0;
}

}  // namespace deepcache::cuda

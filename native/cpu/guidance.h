#pragma once

#include "runtime/table.h"

namespace deepcache::cpu {

// A sample's outputs, each of `count` values. `average`: the slot of a rule with momentum.
struct GuidedOutputs {
  const float *first, *conditional, *third;  // third: null where the row has none
  float* average;
  size_t count;
};

// m as guidance of the row combines the outputs of sample number `sample`. diffusers:
// rescale_noise_cfg pulls the deviation of the sum towards the conditional one's.
void guide(const StepTable& table, const StepRow& row, int sample, const GuidedOutputs& outputs,
           float* m);

}  // namespace deepcache::cpu

#pragma once

// What the environment switches off or makes slow and clear, to find out which feature of a GPU is
// at fault. docs/cuda.md tells when.

#include <string>

#include "cuda/gpu.h"

namespace deepcache::cuda {

struct Switches {
  // Reads DEEPCACHE_CUDA_DISABLE and DEEPCACHE_CUDA_SYNC. Throws Error(kInvalidArgument) for a
  // feature that there is not.
  static Switches from_environment();

  // Whether the feature of that name is not disabled.
  bool allows(const std::string& feature) const;
  // Takes from what a GPU can do what is disabled.
  void apply(gpu::Properties& properties) const;

  std::string disabled;  // as the variable names it: "hopper,overlap"
  // Every op is waited for, and there are no graphs: an error names the op that failed.
  bool synchronous = false;
};

// Which of the features that can be disabled the GPU's kernels use: "overlap, clusters, once".
std::string features_in_use(const gpu::Properties& properties);

}  // namespace deepcache::cuda

#pragma once

// Weights as the CUDA kernels read them: api.h says how (WeightPlace).

#include <vector>

#include "cuda/api.h"
#include "runtime/weights.h"

namespace deepcache::cuda {

// `fp8`: by a backend of that type.
size_t packed_bytes(const WeightSpec& spec, bool fp8 = false);

// The packed values in host memory. Throws Error(kInvalidWeights) when the tensors hold another
// number of values than the spec.
std::vector<char> pack(const WeightSpec& spec, const std::vector<const SourceTensor*>& sources,
                       ActivationType type);

// The same of a weight of e4m3.
std::vector<char> pack_fp8(const WeightSpec& spec, const std::vector<const SourceTensor*>& sources);

// One value, rounded to nearest even.
uint16_t narrow(float value, ActivationType type);
float widen(uint16_t bits, ActivationType type);

}  // namespace deepcache::cuda

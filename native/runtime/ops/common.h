#pragma once

// What the ops of plans share. An op is plain data, so that a finished plan can cross to a backend
// in another library as it is, with these members:
//
//   kName, y          its name in messages, and the one tensor that it writes
//   inputs(visit)     calls visit(const Tensor&) for what it reads, optional tensors too
//   weights(visit)    calls visit(const WeightId&) for its parameters, optional ones too
//   check(specs)      throws Error(kInternal) when shapes do not fit: a mistake in model code
//   macs(specs)       multiply-accumulates that it takes; ops without it take none
//
// All tensors are NHWC; arithmetic accumulates in fp32.

#include <cstdint>
#include <string>
#include <vector>

#include "../error.h"
#include "../tensor.h"
#include "../weights.h"

namespace deepcache {

// mish, leaky_relu (ReLU is its slope 0) and tanh are the elementwise op's alone: the products'
// epilogues are for what follows most of a U-Net's layers.
enum class Activation : uint8_t { none, silu, gelu, quick_gelu, geglu, mish, leaky_relu, tanh };

// An index into Plan::weights(); -1 is "none".
using WeightId = int;
using WeightSpecs = std::vector<WeightSpec>;

inline void require(bool condition, const char* what) {
  if (!condition) throw Error(ErrorCode::kInternal, std::string("plan: ") + what);
}

}  // namespace deepcache

#pragma once

#include "common.h"

namespace deepcache {

// Over the channels of each row.
struct LayerNorm {
  static constexpr const char* kName = "layer_norm";
  Tensor y, x;
  WeightId gamma = -1, beta = -1;
  float epsilon = 1e-5f;

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto& visit) const { visit(gamma), visit(beta); }
  void check(const WeightSpecs&) const { require(x.shape == y.shape, "layer_norm: shape"); }
};

}  // namespace deepcache

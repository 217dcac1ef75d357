#pragma once

#include "common.h"

namespace deepcache {

// Sinusoids of fp32 numbers: x [n, 1, w, 1] -> y [n, 1, w, dim], or all w of a sample side by side
// when y is [n, 1, 1, w * dim]. Angle i = x * exp(-ln(10000) * i / (dim/2 - freq_shift)).
// diffusers: get_timestep_embedding.
struct TimestepEmbedding {
  static constexpr const char* kName = "timestep_embedding";
  Tensor y, x;
  int dim = 0;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    require(y.shape.count() == x.shape.count() * dim, "timestep_embedding: shape");
  }
};

}  // namespace deepcache

#pragma once

#include "common.h"

namespace deepcache {

// Sinusoids of fp32 numbers: x [n, 1, w, 1] -> y [n, 1, w, dim], or all w of a sample side by side
// when y is [n, 1, 1, w * dim]. Angle i = x * exp(-ln(10000) * i / (dim/2 - freq_shift)), or
// 2 pi x * frequencies[i] where there are such. diffusers: get_timestep_embedding,
// GaussianFourierProjection.
struct TimestepEmbedding {
  static constexpr const char* kName = "timestep_embedding";
  Tensor y, x;
  int dim = 0;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
  WeightId frequencies = -1;  // [dim / 2]

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto& visit) const { visit(frequencies); }
  void check(const WeightSpecs& specs) const {
    require(y.shape.count() == x.shape.count() * dim, "timestep_embedding: shape");
    require(frequencies < 0 || specs[frequencies].out == dim / 2,
            "timestep_embedding: frequencies");
  }
};

}  // namespace deepcache

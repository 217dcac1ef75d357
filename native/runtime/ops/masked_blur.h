#pragma once

#include <array>
#include <cmath>

#include "common.h"

namespace deepcache {

// Self-attention guidance (Hong et al. 2023; diffusers: sag_masking): what a model is to see of
// latents whose clean estimate has been blurred where pixels got much attention.
//
//   e = f0 * x + f1 * x2                 the clean latents, estimated
//   y = x + f2 * (blur(e) - e)           where the mean of `mass` over its channels is above 1
//   y = x                                elsewhere
//
// f0, f1 and f2 are each sample's `factors`. The blur is a Gaussian one of 9x9 pixels and deviation
// 1, edges reflected. `mass` may be smaller: each pixel takes the nearest value. Channels of x
// behind those of x2 are copied.
struct MaskedBlur {
  static constexpr const char* kName = "masked_blur";
  static constexpr int kReach = 4, kTaps = 2 * kReach + 1;
  Tensor y, x, x2, mass, factors;

  // Of an axis.
  static std::array<float, kTaps> taps() {
    std::array<double, kTaps> weights;
    double sum = 0;
    for (int i = 0; i < kTaps; i++)
      sum += weights[size_t(i)] = std::exp(-0.5 * (i - kReach) * (i - kReach));
    std::array<float, kTaps> out;
    for (size_t i = 0; i < out.size(); i++) out[i] = float(weights[i] / sum);
    return out;
  }

  void inputs(const auto& visit) const { visit(x), visit(x2), visit(mass), visit(factors); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    require(x.shape == y.shape, "masked_blur: shape");
    require(x2.shape.n == x.shape.n && x2.shape.h == x.shape.h && x2.shape.w == x.shape.w &&
                x2.shape.c <= x.shape.c,
            "masked_blur: second input");
    require(mass.shape.n == x.shape.n && mass.shape.h <= x.shape.h && mass.shape.w <= x.shape.w,
            "masked_blur: mass");
    require(factors.shape == Shape{x.shape.n, 1, 1, 3}, "masked_blur: factors");
  }
};

}  // namespace deepcache

#pragma once

#include "common.h"

namespace deepcache {

// y = x at half the size, each value the mean of a 2x2 square (an odd last row or column is left
// out), or at twice the size, each value repeated: whichever y's size says.
struct Resample {
  static constexpr const char* kName = "resample";
  Tensor y, x;

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    const Shape &from = x.shape, &to = y.shape;
    require(from.n == to.n && from.c == to.c &&
                ((to.h == from.h / 2 && to.w == from.w / 2) ||
                 (to.h == 2 * from.h && to.w == 2 * from.w)),
            "resample: shape");
  }
};

}  // namespace deepcache

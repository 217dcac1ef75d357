#pragma once

#include "common.h"

namespace deepcache {

// y = the row of `table` that lies nearest to x's row; of several the first. VQ decoding.
struct NearestCode {
  static constexpr const char* kName = "nearest_code";
  Tensor y, x;
  WeightId table = -1;

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto& visit) const { visit(table); }
  void check(const WeightSpecs& specs) const {
    require(x.shape == y.shape, "nearest_code: shape");
    require(specs[table].in == x.shape.c && specs[table].out > 0, "nearest_code: table");
  }
};

}  // namespace deepcache

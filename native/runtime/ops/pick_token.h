#pragma once

#include "common.h"

namespace deepcache {

// y[i] = x[i, index[i]]: one token of each sequence. x [n, 1, length, c], index i32 [n, 1, 1, 1].
struct PickToken {
  static constexpr const char* kName = "pick_token";
  Tensor y, x, index;

  void inputs(const auto& visit) const { visit(x), visit(index); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    require(y.shape.rows() == index.shape.count(), "pick_token: shape");
  }
};

}  // namespace deepcache

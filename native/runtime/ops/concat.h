#pragma once

#include "common.h"

namespace deepcache {

// y = x ++ x2 along the channels.
struct Concat {
  static constexpr const char* kName = "concat";
  Tensor y, x, x2;

  void inputs(const auto& visit) const { visit(x), visit(x2); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    require(y.shape.c == x.shape.c + x2.shape.c && x.shape.rows() == x2.shape.rows() &&
                y.shape.rows() == x.shape.rows(),
            "concat: shape");
  }
};

}  // namespace deepcache

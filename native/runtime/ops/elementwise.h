#pragma once

#include "common.h"

namespace deepcache {

// y = act(a * x + b * x2), element by element; x2 may be absent, and may have fewer rows: row i
// then takes x2's row (i / repeat) mod its number of rows.
struct Elementwise {
  static constexpr const char* kName = "elementwise";
  Tensor y, x, x2;
  float a = 1, b = 1;
  int repeat = 1;
  Activation activation = Activation::none;

  void inputs(const auto& visit) const { visit(x), visit(x2); }
  void weights(const auto&) const {}

  void check(const WeightSpecs&) const {
    require(x.shape.count() == y.shape.count(), "elementwise: shape");
    require(!x2 || (x2.shape.c == x.shape.c && repeat > 0 &&
                    x.shape.rows() % (x2.shape.rows() * repeat) == 0),
            "elementwise: second input");
    require(activation != Activation::geglu, "elementwise: geglu needs a convolution");
  }
};

}  // namespace deepcache

#pragma once

#include "common.h"

namespace deepcache {

// Squares of kernel x kernel pixels of x, every `stride` pixels from `pad` before the edge on, as
// one: their largest value, or their mean. What lies beyond an edge counts for nothing: it is no
// value of a maximum, and a mean is of the pixels that are there (PyTorch's
// count_include_pad=False).
struct Pool {
  static constexpr const char* kName = "pool";
  Tensor y, x;
  int kernel = 1, stride = 1, pad = 0;
  bool mean = false;

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto&) const {}

  void check(const WeightSpecs&) const {
    const Shape &from = x.shape, &to = y.shape;
    require(from.n == to.n && from.c == to.c, "pool: shape");
    // No square lies beyond an edge as a whole.
    require(kernel > 0 && stride > 0 && pad >= 0 && pad < kernel, "pool: kernel");
    const auto fits = [&](int in, int out) {
      return in + 2 * pad >= kernel && out == (in + 2 * pad - kernel) / stride + 1;
    };
    require(fits(from.h, to.h) && fits(from.w, to.w), "pool: size");
  }
};

}  // namespace deepcache

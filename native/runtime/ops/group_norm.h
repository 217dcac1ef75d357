#pragma once

#include "common.h"

namespace deepcache {

// y = act(group_norm(x ++ x2)); statistics per sample (Shape::n) and group. y holds both inputs'
// channels.
struct GroupNorm {
  static constexpr const char* kName = "group_norm";
  Tensor y, x, x2;
  WeightId gamma = -1, beta = -1;
  int groups = 32;
  float epsilon = 1e-5f;
  bool silu = false;
  int conv = -1;  // the op that computes y itself, where a backend fuses ops: see Conv::norm

  void inputs(const auto& visit) const { visit(x), visit(x2); }
  void weights(const auto& visit) const { visit(gamma), visit(beta); }

  void check(const WeightSpecs&) const {
    const int channels = x.shape.c + (x2 ? x2.shape.c : 0);
    require(channels == y.shape.c && x.shape.rows() == y.shape.rows(), "group_norm: shape");
    require(groups > 0 && channels % groups == 0, "group_norm: groups");
  }
};

}  // namespace deepcache

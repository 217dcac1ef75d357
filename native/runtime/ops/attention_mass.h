#pragma once

#include "common.h"

namespace deepcache {

// How much attention each pixel gets of all others, for each head: y of key i is the sum over the
// queries j of softmax_i(scale * q_j . k_i). Of the first samples of q and k, as many as y has; all
// pixels of a sample attend to each other. q and k are channels [offset, offset + heads *
// head_width) of their tensors' rows.
struct AttentionMass {
  static constexpr const char* kName = "attention_mass";
  Tensor y, q, k;
  int q_offset = 0, k_offset = 0;
  int heads = 1, head_width = 0;
  float scale = 1;

  size_t pixels() const { return size_t(y.shape.h) * size_t(y.shape.w); }

  void inputs(const auto& visit) const { visit(q), visit(k); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    const int width = heads * head_width;
    require(y.shape.c == heads, "attention_mass: output channels");
    require(q_offset + width <= q.shape.c && k_offset + width <= k.shape.c,
            "attention_mass: channels");
    for (const Tensor* const x : {&q, &k})
      require(x->shape.n >= y.shape.n && x->shape.h == y.shape.h && x->shape.w == y.shape.w,
              "attention_mass: shape");
  }
  // Of the scores.
  double macs(const WeightSpecs&) const {
    return double(y.shape.count()) * double(pixels()) * head_width;
  }
};

}  // namespace deepcache

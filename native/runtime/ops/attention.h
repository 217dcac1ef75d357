#pragma once

#include "common.h"

namespace deepcache {

// Where the elements of the sequences lie: element i of sequence (outer o, inner j) is row
// o * outer_stride + j * inner_stride + i * step.
struct Sequence {
  int length = 0, step = 1, outer_stride = 0, inner_stride = 0;
};

// Multi-head attention, softmax(scale * q k^T) v, for outer*inner independent sequences. q, k and
// v are channels [offset, offset + heads * head_width) of their tensors' rows, so that a fused QKV
// product is read in place; y holds heads * head_width channels, laid out as q's sequences.
// Strides express ordinary, temporal (step > 1) and cross-frame (stride 0) attention. The elements
// of the last `identities` outer sequences attend to themselves alone: y = v.
struct Attention {
  static constexpr const char* kName = "attention";
  Tensor y, q, k, v;
  int q_offset = 0, k_offset = 0, v_offset = 0;
  int heads = 1, head_width = 0;
  float scale = 1;
  bool causal = false;
  int outer = 1, inner = 1;
  int identities = 0;
  Sequence query, key;

  void inputs(const auto& visit) const { visit(q), visit(k), visit(v); }
  void weights(const auto&) const {}

  void check(const WeightSpecs&) const {
    const int width = heads * head_width;
    require(y.shape.c == width, "attention: output channels");
    require(q_offset + width <= q.shape.c && k_offset + width <= k.shape.c &&
                v_offset + width <= v.shape.c,
            "attention: channels");
    require(!causal || query.length == key.length, "attention: causal lengths");
    require(
        identities >= 0 && identities <= outer && (identities == 0 || query.length == key.length),
        "attention: identities");
    const auto last = [this](const Sequence& s) {
      return size_t(outer - 1) * s.outer_stride + size_t(inner - 1) * s.inner_stride +
             size_t(s.length - 1) * s.step;
    };
    require(last(query) < q.shape.rows() && last(query) < y.shape.rows() &&
                last(key) < k.shape.rows() && last(key) < v.shape.rows(),
            "attention: sequences");
  }

  double macs(const WeightSpecs&) const {
    return 2.0 * (outer - identities) * inner * query.length * key.length * heads * head_width;
  }
};

}  // namespace deepcache

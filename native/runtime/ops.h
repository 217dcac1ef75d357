#pragma once

// The op set of plans: general and small, plain data only, so that a finished plan can cross to a
// backend in another library as it is. All tensors are NHWC; arithmetic accumulates in fp32.

#include <cstdint>

#include "tensor.h"

namespace deepcache {

enum class Activation : uint8_t { none, silu, gelu, quick_gelu, geglu };

// An index into Plan::weights(); -1 is "none".
using WeightId = int;

// y = scale * act(conv(x ++ x2) + bias + row) + residual_scale * residual
//
// A linear layer is a 1x1 convolution over tokens. `x2` holds the channels after x's (a skip
// concatenation that is never materialised). With `upsample` the input is read through a nearest
// x2 enlargement cropped to 2*in or 2*in - 1 in each axis, whichever y's size says.
// geglu: the weight has 2*c rows; y = (first half) * gelu(second half).
struct Conv {
  Tensor y, x, x2, residual;
  WeightId weight = -1, bias = -1;
  int kernel_h = 1, kernel_w = 1, stride = 1;
  int pad_top = 0, pad_left = 0;  // bottom and right padding follow from y's size
  bool upsample = false;
  Tensor row;          // [1 or n, 1, 1, total]: a vector per sample, added before the activation
  int row_offset = 0;  // its first channel
  Activation activation = Activation::none;
  float scale = 1, residual_scale = 1;
  // The op, a 1x1 convolution, that computes the residual and that a backend may leave out if it
  // adds that product itself; -1 is "none". Set by Plan::finish().
  int shortcut = -1;
};

// y = act(group_norm(x ++ x2)); statistics per sample (Shape::n) and group. y holds both inputs'
// channels.
struct GroupNorm {
  Tensor y, x, x2;
  WeightId gamma = -1, beta = -1;
  int groups = 32;
  float epsilon = 1e-5f;
  bool silu = false;
};

// Over the channels of each row.
struct LayerNorm {
  Tensor y, x;
  WeightId gamma = -1, beta = -1;
  float epsilon = 1e-5f;
};

// Where the elements of the sequences lie: element i of sequence (outer o, inner j) is row
// o * outer_stride + j * inner_stride + i * step.
struct Sequence {
  int length = 0, step = 1, outer_stride = 0, inner_stride = 0;
};

// Multi-head attention, softmax(scale * q k^T) v, for outer*inner independent sequences. q, k and
// v are channels [offset, offset + heads * head_width) of their tensors' rows, so that a fused QKV
// product is read in place; y holds heads * head_width channels, laid out as q's sequences.
// Strides express ordinary, temporal (step > 1) and cross-frame (stride 0) attention.
struct Attention {
  Tensor y, q, k, v;
  int q_offset = 0, k_offset = 0, v_offset = 0;
  int heads = 1, head_width = 0;
  float scale = 1;
  bool causal = false;
  int outer = 1, inner = 1;
  Sequence query, key;
};

// y = act(a * x + b * x2), element by element; x2 may be absent, and may have fewer rows: row i
// then takes x2's row (i / repeat) mod its number of rows.
struct Elementwise {
  Tensor y, x, x2;
  float a = 1, b = 1;
  int repeat = 1;
  Activation activation = Activation::none;
};

// y = table[id] + positions[place in the sequence]; ids are i32 [n, 1, length, 1].
struct Embedding {
  Tensor y, ids;
  WeightId table = -1, positions = -1;
};

// Sinusoids of fp32 numbers: x [n, 1, w, 1] -> y [n, 1, w, dim], or all w of a sample side by side
// when y is [n, 1, 1, w * dim]. Angle i = x * exp(-ln(10000) * i / (dim/2 - freq_shift)).
// diffusers: get_timestep_embedding.
struct TimestepEmbedding {
  Tensor y, x;
  int dim = 0;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
};

// y[i] = x[i, index[i]]: one token of each sequence. x [n, 1, length, c], index i32 [n, 1, 1, 1].
struct PickToken {
  Tensor y, x, index;
};

// y = x ++ x2 along the channels.
struct Concat {
  Tensor y, x, x2;
};

// y = x at half the size, each value the mean of a 2x2 square (an odd last row or column is left
// out), or at twice the size, each value repeated: whichever y's size says.
struct Resample {
  Tensor y, x;
};

// y = the row of `table` that lies nearest to x's row; of several the first. VQ decoding.
struct NearestCode {
  Tensor y, x;
  WeightId table = -1;
};

enum class OpKind : uint8_t {
  conv,
  group_norm,
  layer_norm,
  attention,
  elementwise,
  embedding,
  timestep_embedding,
  pick_token,
  concat,
  resample,
  nearest_code,
};

struct Op {
  OpKind kind;
  union {
    Conv conv;
    GroupNorm group_norm;
    LayerNorm layer_norm;
    Attention attention;
    Elementwise elementwise;
    Embedding embedding;
    TimestepEmbedding timestep_embedding;
    PickToken pick_token;
    Concat concat;
    Resample resample;
    NearestCode nearest_code;
  };

  Op(const Conv& op) : kind(OpKind::conv), conv(op) {}
  Op(const GroupNorm& op) : kind(OpKind::group_norm), group_norm(op) {}
  Op(const LayerNorm& op) : kind(OpKind::layer_norm), layer_norm(op) {}
  Op(const Attention& op) : kind(OpKind::attention), attention(op) {}
  Op(const Elementwise& op) : kind(OpKind::elementwise), elementwise(op) {}
  Op(const Embedding& op) : kind(OpKind::embedding), embedding(op) {}
  Op(const TimestepEmbedding& op) : kind(OpKind::timestep_embedding), timestep_embedding(op) {}
  Op(const PickToken& op) : kind(OpKind::pick_token), pick_token(op) {}
  Op(const Concat& op) : kind(OpKind::concat), concat(op) {}
  Op(const Resample& op) : kind(OpKind::resample), resample(op) {}
  Op(const NearestCode& op) : kind(OpKind::nearest_code), nearest_code(op) {}

  // The tensor that the op writes.
  const Tensor& output() const;
  // Calls `visit(const Tensor&)` for every tensor that the op reads.
  template <typename Visit>
  void inputs(const Visit& visit) const {
    switch (kind) {
      case OpKind::conv:
        visit(conv.x), visit(conv.x2), visit(conv.residual), visit(conv.row);
        break;
      case OpKind::group_norm:
        visit(group_norm.x), visit(group_norm.x2);
        break;
      case OpKind::layer_norm:
        visit(layer_norm.x);
        break;
      case OpKind::attention:
        visit(attention.q), visit(attention.k), visit(attention.v);
        break;
      case OpKind::elementwise:
        visit(elementwise.x), visit(elementwise.x2);
        break;
      case OpKind::embedding:
        visit(embedding.ids);
        break;
      case OpKind::timestep_embedding:
        visit(timestep_embedding.x);
        break;
      case OpKind::pick_token:
        visit(pick_token.x), visit(pick_token.index);
        break;
      case OpKind::concat:
        visit(concat.x), visit(concat.x2);
        break;
      case OpKind::resample:
        visit(resample.x);
        break;
      case OpKind::nearest_code:
        visit(nearest_code.x);
        break;
    }
  }
};

}  // namespace deepcache

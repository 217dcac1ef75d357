#pragma once

#include "common.h"

namespace deepcache {

// y = scale * act(conv(x ++ x2) + bias + row) + residual_scale * residual
//
// A linear layer is a 1x1 convolution over tokens. `x2` holds the channels after x's (a skip
// concatenation that is never materialised). With `upsample` the input is read through a nearest
// x2 enlargement cropped to 2*in or 2*in - 1 in each axis, whichever y's size says.
// geglu: the weight has 2*c rows; y = (first half) * gelu(second half).
struct Conv {
  static constexpr const char* kName = "conv";
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
  // The op, a GroupNorm, whose output x is and that is computed where x is read, where a backend
  // fuses ops (fusions.h). Set by Plan::finish().
  int norm = -1;
  // The op, a LayerNorm, whose output x is and that a backend may fold into the weight, and the one
  // that writes its input and may gather the sums of its rows; -1 is "none" (folds.h). Whether this
  // op is such a writer. Set by Plan::finish().
  int layer_norm = -1, row_writer = -1;
  bool sums_rows = false;

  // In a product of e4m3: whether each row of x has a scale, otherwise each sample has. A scale
  // must be the same in the whole of a sum, so that it can be taken out of it.
  bool fp8_rows() const { return kernel_h * kernel_w == 1; }

  void inputs(const auto& visit) const { visit(x), visit(x2), visit(residual), visit(row); }
  void weights(const auto& visit) const { visit(weight), visit(bias); }

  void check(const WeightSpecs& specs) const {
    const int channels = x.shape.c + (x2 ? x2.shape.c : 0);
    const int outputs = activation == Activation::geglu ? 2 * y.shape.c : y.shape.c;
    const WeightSpec& spec = specs[weight];
    require(spec.in == channels && spec.out == outputs, "conv: channels");
    require(spec.kernel_h == kernel_h && spec.kernel_w == kernel_w, "conv: kernel");
    require(!x2 || x2.shape.rows() == x.shape.rows(), "conv: second input");
    require(!residual || residual.shape == y.shape, "conv: residual");
    require(x.shape.n == y.shape.n, "conv: batch");
    require(activation <= Activation::geglu, "conv: activation");
    require(!spec.fp8 || (!x2 && !upsample), "conv: fp8 is for one input as it is");
    require(!row || ((row.shape.n == 1 || row.shape.n == y.shape.n) &&
                     row_offset + y.shape.c <= row.shape.c),
            "conv: row");
  }

  double macs(const WeightSpecs& specs) const {
    const WeightSpec& spec = specs[weight];
    // The four phases of an upsampling 3x3 convolution have 2x2 taps.
    const double taps = spec.recipe == Recipe::upsample ? 4 : double(spec.kernel_h) * spec.kernel_w;
    return double(y.shape.rows()) * spec.out * spec.in * taps;
  }
};

}  // namespace deepcache

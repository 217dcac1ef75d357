#pragma once

#include "common.h"

namespace deepcache {

// y = act(g * (a * x + b * x2 + offset) + t), element by element; x2 may be absent, and may have
// fewer rows: row i then takes x2's row (i / repeat) mod its number of rows. With `scale`, of one
// row for each equal part of x's rows (a sample), b is multiplied by that row's value number
// scale_offset. Of `modulation`, a vector for each sample or one for all, 1 + the values from
// modulation_offset on, one for each channel, are g, and those behind them t; without it 1 and 0.
//
// With a `mask`, a value for each of x's rows, the two are blended by it instead: y = act(mask * a
// * x + (1 - mask) * b * x2 + offset).
struct Elementwise {
  static constexpr const char* kName = "elementwise";
  Tensor y = {}, x = {}, x2 = {}, mask = {}, scale = {};
  Tensor modulation = {};  // [1 or n, 1, 1, total]
  float a = 1, b = 1, offset = 0;
  int repeat = 1;
  int scale_offset = 0;
  int modulation_offset = 0;
  Activation activation = Activation::none;
  float slope = 0;       // of leaky_relu, below zero,
  WeightId slopes = -1;  // or that of each channel

  void inputs(const auto& visit) const {
    visit(x), visit(x2), visit(mask), visit(scale), visit(modulation);
  }
  void weights(const auto& visit) const { visit(slopes); }

  void check(const WeightSpecs& specs) const {
    require(x.shape.count() == y.shape.count(), "elementwise: shape");
    require(!x2 || (x2.shape.c == x.shape.c && repeat > 0 &&
                    x.shape.rows() % (x2.shape.rows() * repeat) == 0),
            "elementwise: second input");
    require(!mask || (x2 && mask.shape.c == 1 && mask.shape.rows() == x.shape.rows()),
            "elementwise: mask");
    require(!scale || (x2 && !mask && scale_offset >= 0 && scale_offset < scale.shape.c &&
                       x.shape.rows() % scale.shape.rows() == 0),
            "elementwise: scale");
    require(!modulation ||
                ((modulation.shape.n == 1 || modulation.shape.n == x.shape.n) &&
                 modulation.shape.rows() == size_t(modulation.shape.n) && modulation_offset >= 0 &&
                 modulation_offset + 2 * x.shape.c <= modulation.shape.c),
            "elementwise: modulation");
    require(activation != Activation::geglu, "elementwise: geglu needs a convolution");
    require(slopes < 0 || (activation == Activation::leaky_relu && specs[slopes].out == x.shape.c),
            "elementwise: slopes");
  }
};

}  // namespace deepcache

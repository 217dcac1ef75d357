#pragma once

#include <algorithm>

#include "common.h"

namespace deepcache {

// FreeU (Si et al. 2023; diffusers: apply_freeu): y = x ++ skip along the channels, the first half
// of x's channels times a factor, and the low frequencies of each of skip's channels times another.
// The factors are the values number `place` and the next one of each sample's `factors`.
//
// Low are the frequencies from -threshold to threshold - 1 along both axes, fewer of a small axis
// (fourier_filter: FFT, box around the middle, inverse FFT, of which the real part stays). These
// are so few that what the box changes is a sum of cosines and sines over the pixels.
struct FreeU {
  static constexpr const char* kName = "free_u";
  static constexpr int kMaxThreshold = 4;
  Tensor y, x, skip, factors;
  int place = 0;
  int threshold = 1;

  // Frequencies [first, first + count) of an axis.
  struct Band {
    int first, count;
  };
  Band band(int size) const {
    const int middle = size / 2;
    int begin = middle - threshold;
    if (begin < 0) begin = std::max(begin + size, 0);  // as Python reads a negative index
    return {begin - middle, std::max(std::min(middle + threshold, size) - begin, 0)};
  }

  void inputs(const auto& visit) const { visit(x), visit(skip), visit(factors); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    require(y.shape.c == x.shape.c + skip.shape.c && x.shape.n == skip.shape.n &&
                x.shape.h == skip.shape.h && x.shape.w == skip.shape.w &&
                y.shape.rows() == x.shape.rows(),
            "free_u: shape");
    require(factors.shape.rows() == size_t(x.shape.n) && place >= 0 && place + 1 < factors.shape.c,
            "free_u: factors");
    require(threshold >= 1 && threshold <= kMaxThreshold, "free_u: threshold");
  }
};

}  // namespace deepcache

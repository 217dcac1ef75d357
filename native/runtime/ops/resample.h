#pragma once

#include "common.h"

namespace deepcache {

// What y's shape says:
//   half the size      each value the mean of a 2x2 square (an odd last row or column is left out,
//                      or where the half is rounded up the mean of what is there)
//   r times the size   each value repeated, r x r
//   1/r of the size, r * r times the channels (pixel unshuffle), or the other way round (pixel
//                      shuffle): pixel (i, j) of a square is channel c * r * r + i * r + j
struct Resample {
  static constexpr const char* kName = "resample";
  enum class Mode : uint8_t { mean, repeat, unshuffle, shuffle };
  Tensor y, x;

  Mode mode() const {
    if (y.shape.c != x.shape.c) return y.shape.c > x.shape.c ? Mode::unshuffle : Mode::shuffle;
    return y.shape.h < x.shape.h || y.shape.w < x.shape.w ? Mode::mean : Mode::repeat;
  }
  // The side of a square.
  int factor() const {
    switch (mode()) {
      case Mode::mean:
        return 2;
      case Mode::unshuffle:
        return x.shape.h / y.shape.h;
      default:
        return y.shape.h / x.shape.h;
    }
  }

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto&) const {}
  void check(const WeightSpecs&) const {
    const Shape &from = x.shape, &to = y.shape;
    require(from.n == to.n && to.h > 0 && to.w > 0, "resample: shape");
    const Mode mode = this->mode();
    const int r = factor();
    if (mode == Mode::mean)
      return require((to.h == from.h / 2 || to.h == (from.h + 1) / 2) &&
                         (to.w == from.w / 2 || to.w == (from.w + 1) / 2),
                     "resample: mean");
    const bool larger = mode != Mode::unshuffle;
    const Shape &few = larger ? from : to, &many = larger ? to : from;
    require(many.h == r * few.h && many.w == r * few.w, "resample: size");
    require(mode == Mode::repeat || few.c == r * r * many.c, "resample: channels");
  }
};

}  // namespace deepcache

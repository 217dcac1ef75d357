#pragma once

#include "../frame_windows.h"
#include "common.h"

namespace deepcache {

// A window of the frames of each video. y = these frames of x; or, with `merge`, x are these
// frames, and y's get x's share of a mean over all windows: the first window that gives a frame
// writes it, those behind it add to it.
struct Window {
  static constexpr const char* kName = "window";
  Tensor y, x;
  FrameWindows windows;
  int index = 0;
  bool merge = false;

  void inputs(const auto& visit) const { visit(x); }
  void weights(const auto&) const {}

  void check(const WeightSpecs&) const {
    const Shape &all = (merge ? y : x).shape, &some = (merge ? x : y).shape;
    require(windows.length > 0 && windows.length <= std::min(windows.frames, windows.kMaxLength) &&
                windows.stride > 0 && windows.stride <= windows.length && index >= 0 &&
                index < windows.count(),
            "window: frames");
    require(all.n % windows.frames == 0 && some.n == all.n / windows.frames * windows.length &&
                some.h == all.h && some.w == all.w && some.c == all.c,
            "window: shape");
  }
};

}  // namespace deepcache

#pragma once

// Networks that enlarge pictures: RRDBNet (ESRGAN, Real-ESRGAN; XPixelGroup/BasicSR) and
// SRVGGNetCompact (xinntao/Real-ESRGAN). Names of weights are those of these two code bases; other
// layouts are renamed before they come here.

#include <string>

#include "../runtime/plan.h"

namespace deepcache {

struct SuperResolutionConfig {
  bool compact = false;  // SRVGGNetCompact
  int in_channels = 3, out_channels = 3;
  int features = 64;       // num_feat
  int blocks = 23;         // num_block; compact: num_conv
  int grow_channels = 32;  // num_grow_ch
  int upsamplers = 2;      // of RRDBNet, each doubles the size
  // RRDBNet first turns squares of so many pixels a side into channels.
  int unshuffle = 1;
  int upscale = 4;    // compact
  bool prelu = true;  // compact: slopes of each channel, otherwise one for all
  float slope = 0;

  static SuperResolutionConfig parse(const std::string& json);

  // Pixels of the result for one of the picture, in each axis; a picture's sides must be multiples
  // of `unshuffle`.
  int scale() const { return compact ? upscale : (1 << upsamplers) / unshuffle; }
};

// image [n, h, w, in] in [0, 1] -> out [n, h * scale, w * scale, out], not clamped.
Plan plan_super_resolution(const SuperResolutionConfig& config, int batch, int height, int width);

}  // namespace deepcache

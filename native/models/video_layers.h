#pragma once

// What Stable Video Diffusion adds to image models: layers along the frames of a video, and blends
// of what they make with what the layers of single frames made. Values of videos are images one
// after the other, [videos * frames, h, w, c].

#include <map>
#include <string>

#include "recorder.h"

namespace deepcache {

// The blends' learned weights (diffusers: AlphaBlender.mix_factor) by name. Plans hold them as
// constants; without weights (to count, or to list tensors) there are none and each is 0.
using MixFactors = std::map<std::string, float>;

MixFactors read_mix_factors(const WeightSource& source);

// Share of the blend's first input, sigmoid(mix_factor), of "<name>.time_mixer". Also makes the
// plan name the tensor, so that loading checks it.
float first_share(Recorder& record, const MixFactors& factors, const std::string& name);

// Images as one picture for each video: a row for each frame, its pixels along it.
Tensor frames_as_rows(Tensor x, int frames);

struct TemporalResnetOptions {
  int frames = 1;
  int groups = 32;
  float epsilon = 1e-5f;
  float share = 0.5f;  // of this block in the blend with its input
  Tensor row = {};     // time projections [1 or n, 1, 1, total]
  int row_offset = 0;
};

// x + share * (the block's output - x): diffusers' TemporalResnetBlock, convolutions of three
// frames with group norms over all frames, blended with what went in. One epilogue does both.
Tensor temporal_resnet(Recorder& record, const std::string& name, Tensor x,
                       const TemporalResnetOptions& options);

}  // namespace deepcache

#pragma once

// Networks beside a U-Net whose outputs are added to its skips and to its mid block's output
// (diffusers' ControlNetModel): a copy of its encoder and mid block that also sees a picture, each
// output behind a convolution that training begins at zero.

#include "unet_plan.h"

namespace deepcache {

// A ControlNet's, with the ports sample, time, context.<i> and hint of a U-Net of the same
// configuration; residual.<i> for each skip of the U-Net, the first being conv_in's output, and
// residual.<branches> for its mid block.
Plan plan_controlnet(const UnetConfig& config, const UnetShape& shape);
// What a retrieve step of the branch needs of it: what the skips that it computes anew take.
OpRanges control_segments(const Plan& plan, const UnetConfig& config, int branch);

// image [n, scale * h, scale * w, channels] -> hint [n, h, w, channels[0]]. Once for each run.
Plan plan_control_hint(const UnetConfig& config, int batch, int height, int width);

// The place of a network's residual among those of several: its port's number.
inline int residual_port(const UnetConfig& config, int network, int skip) {
  return network * (config.branches() + 1) + skip;
}

}  // namespace deepcache

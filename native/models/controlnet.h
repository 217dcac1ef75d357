#pragma once

// Networks beside a U-Net whose outputs are added to its skips and to its mid block's output
// (diffusers' ControlNetModel): a copy of its encoder and mid block that also sees a picture, each
// output behind a convolution that training begins at zero.

#include "recorder.h"
#include "unet_plan.h"

namespace deepcache {

// A ControlNet's, with the ports sample, time, context.<i> and hint of a U-Net of the same
// configuration; residual.<i> for each skip of the U-Net, the first being conv_in's output, and
// residual.<branches> for its mid block.
Plan plan_controlnet(const UnetConfig& config, const UnetShape& shape);
// What a retrieve step of the branch needs of it: what the skips that it computes anew take.
OpRanges control_segments(const Plan& plan, const UnetConfig& config, int branch);

// image.<i> [n, scale * h, scale * w, channels] of each picture -> hint [n, h, w, channels[0]], the
// sum. Of pictures that have a kind also ids.<i> i32 [n, 1, 1, 1]: its number. Once for each run.
Plan plan_control_hint(const UnetConfig& config, int batch, int height, int width,
                       int pictures = 1);
// controlnet_union.cc: the hint of a picture with what the transformer makes of it.
Tensor hint_of_kind(const UnetConfig& config, Recorder& record, Tensor hint, Tensor kind);

// Throws Error(kInvalidArgument) saying what differs unless the network's outputs have the shapes
// of the U-Net's skips, and its inputs are the same.
void require_control_fits(const UnetConfig& network, const UnetConfig& unet);

// The place of a network's residual among those of several: its port's number.
inline int residual_port(const UnetConfig& config, int network, int skip) {
  return network * (config.branches() + 1) + skip;
}

}  // namespace deepcache

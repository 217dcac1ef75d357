#pragma once

#include <memory>

#include "../runtime/weights.h"

namespace deepcache {

// The tensors of a network with a first convolution (conv_in) of so many input channels: its own
// are the first ones, and the weights of the others are zero. So a ControlNet that was trained on
// latents reads the input of a U-Net that has more behind them (a mask, a picture).
std::shared_ptr<WeightSource> with_more_inputs(std::shared_ptr<WeightSource> source, int channels);

}  // namespace deepcache

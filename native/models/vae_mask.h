#pragma once

// The masked decoding of diffusers' AsymmetricAutoencoderKL: an encoder of the picture that is to
// be kept (MaskConditionEncoder), whose values of a level's size take the decoder's place where the
// mask is 0.

#include <vector>

#include "recorder.h"
#include "vae.h"

namespace deepcache {

class MaskCondition {
 public:
  // Records the encoder for a decoder whose picture is height x width; the picture comes with its
  // masked part set to 0, the masks as sizes of levels ask for them: both are externals.
  MaskCondition(Recorder& record, const VaeConfig& config, int batch, int height, int width);

  // x where the level's mask is 1, the picture's values elsewhere.
  Tensor blend(Tensor x);

 private:
  Recorder& record_;
  std::vector<Tensor> values_;  // one of each size
  std::vector<Tensor> masks_;
};

}  // namespace deepcache

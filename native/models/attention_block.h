#pragma once

#include <string>

#include "recorder.h"

namespace deepcache {

// Self-attention over all pixels behind a GroupNorm, with biases and a residual: diffusers'
// Attention with `residual_connection`, DDPM's AttnBlock.
struct AttentionBlockOptions {
  int groups = 32;
  float epsilon = 1e-6f;
  int heads = 1;
  bool linear = true;  // published as linear layers, else as 1x1 convolutions: counts only
};

Tensor attention_block(Recorder& record, const std::string& name, Tensor x,
                       const AttentionBlockOptions& options);

}  // namespace deepcache

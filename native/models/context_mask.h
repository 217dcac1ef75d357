#pragma once

#include <vector>

#include "unet.h"

namespace deepcache {

// Texts of which only some tokens are read (diffusers: encoder_attention_mask).
struct MaskedContexts {
  std::vector<float> values;  // [samples, length, width]
  int length = 0;
};

// What attends to the result finds what it would find in `context` [samples, length, width] without
// the tokens that `kept` [samples, length] is 0 for; a sample without any reads all, as in the
// reference, where a mask lowers all scores alike. Kept tokens are repeated until all samples have
// as many: a softmax over several copies of each token gives what it gives over one. Throws
// Error(kUnsupported) when that takes more than `longest` tokens of each, or a GB.
MaskedContexts without_masked(const float* context, const std::vector<bool>& kept, int samples,
                              int length, int width, int longest);

}  // namespace deepcache

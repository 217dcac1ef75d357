#pragma once

// The input of a product of e4m3 as codes with their scales (docs/fp8.md).

#include "cuda/kernels/common.h"

namespace deepcache::cuda {

constexpr int kRoundParts = 64;  // of a sample, at most

struct RoundArgs {
  View x;             // aligned to 16 bytes
  size_t count = 0;   // values of the sample, or of the row
  int scales = 0;     // samples, or rows
  bool rows = false;  // whether rows have scales of their own
  uint8_t* codes = nullptr;
  float* to_scales = nullptr;
  float* largest = nullptr;  // [scales][kRoundParts], of samples

  int parts() const {
    constexpr size_t kLeast = 4096;  // values of a part
    const size_t parts = (count + kLeast - 1) / kLeast;
    return int(parts < kRoundParts ? parts : kRoundParts);
  }
};

template <typename T>
void launch_round_input(const RoundArgs& args, Stream stream);

}  // namespace deepcache::cuda

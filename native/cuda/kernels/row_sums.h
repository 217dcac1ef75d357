#pragma once

#include "cuda/kernels/common.h"

namespace deepcache::cuda {

// What a layer norm needs of its input: of each row the sum of its values, and of their squares.
struct RowSumsArgs {
  View x;
  int rows = 0, channels = 0;
  float2* sums = nullptr;
};

template <typename T>
void launch_row_sums(const RowSumsArgs& args, Stream stream);

}  // namespace deepcache::cuda

#pragma once

// The order of a packed matrix' rows, one for each output. In groups of 16 they lie so that a
// thread of a tensor core's product, which gets columns 2 q, 2 q + 1, 2 q + 8 and 2 q + 9 of 16 (q
// is its number in four), holds four outputs that are neighbours: it can write them, and read a
// bias or a residual, without asking other threads.

#if defined(__CUDACC__)
#define DEEPCACHE_ANYWHERE __host__ __device__
#else
#define DEEPCACHE_ANYWHERE
#endif

namespace deepcache::cuda {

constexpr int kPackedRows = 16;  // of a group; rows behind the last output are zeros

// Rows that `outputs` take.
DEEPCACHE_ANYWHERE inline int packed_rows(int outputs) {
  return (outputs + kPackedRows - 1) / kPackedRows * kPackedRows;
}

// Where an output's row lies.
DEEPCACHE_ANYWHERE inline int packed_row(int output) {
  const int in = output % kPackedRows;
  return output - in + in / 2 % 2 * 8 + in / 4 * 2 + in % 2;
}

}  // namespace deepcache::cuda

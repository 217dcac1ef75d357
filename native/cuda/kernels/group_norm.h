#pragma once

// Group normalisation: see group_norm.cu and group_norm_once.cu.

#include "cuda/kernels/common.h"

namespace deepcache::cuda {

struct GroupNormArgs {
  View x[2], y;
  int channels[2] = {};
  int samples = 1, rows = 1;  // rows (pixels) of a sample
  int groups = 1;
  const float *gamma = nullptr, *beta = nullptr;
  float epsilon = 0;
  bool silu = false;
  bool eights = false;      // channel counts are multiples of 8, the views aligned to 16 bytes
  int once = 0;             // channels that a cluster of blocks reads once; 0: two kernels instead
  int blocks = 1;           // parts of a sample's rows whose statistics are taken apart
  size_t shared_bytes = 0;  // of a block that reads once
  float2* statistics = nullptr;  // [samples][groups][blocks]
};

// Chooses the kernel and how it is cut: `once`, `blocks` and `shared_bytes`.
void plan_group_norm(GroupNormArgs& args, const gpu::Properties& gpu);

// How many parts two kernels should cut a sample into, and the kernel that reads once.
int group_norm_blocks(int samples, int rows, int channels, int multiprocessors);
template <typename T>
void launch_group_norm_once(const GroupNormArgs& args, Stream stream);

}  // namespace deepcache::cuda

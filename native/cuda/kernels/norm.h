#pragma once

// Normalisations: see group_norm.cu and layer_norm.cu.

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
  bool eights = false;  // channel counts are multiples of 8, the views aligned to 16 bytes
  int blocks = 1;       // parts of a sample's rows whose statistics are taken apart
  // [samples][groups][blocks] of {mean, sum of squared deviations}.
  float2* statistics = nullptr;
};

// How many parts of its rows a sample should have.
int group_norm_blocks(int samples, int rows, int channels, int multiprocessors);

template <typename T>
void launch_group_norm(const GroupNormArgs& args, Stream stream);

struct LayerNormArgs {
  View x, y;
  int rows = 1, channels = 1;
  const float *gamma = nullptr, *beta = nullptr;
  float epsilon = 0;
  bool eights = false;
};

template <typename T>
void launch_layer_norm(const LayerNormArgs& args, Stream stream);

}  // namespace deepcache::cuda

#pragma once

// What attention of any type shares.

#include "kernels.h"
#include "simd_bf16.h"
#include "transpose.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

constexpr float kLog2E = 1.44269504088896341f;

static inline size_t round_up(size_t count) { return (count + 15) / 16 * 16; }

// The outputs of a panel, `out` [channel][query], of which `count` are wanted.
template <typename Value>
static inline void write_panel(const AttentionJob& job, int first, int count, const float* out,
                               const float* sum) {
  float inverse[kPanel];
  for (int i = 0; i < kPanel; i++) inverse[i] = 1.0f / sum[i];
  for (int d = 0; d < job.width; d += kLanes) {
    const int part = job.width - d < kLanes ? job.width - d : kLanes;
    for (int half = 0; half < count; half += kLanes) {
      Vec x[kLanes] = {};
      for (int i = 0; i < part; i++)
        x[i] = load(out + (d + i) * kPanel + half) * load(inverse + half);
      transpose_square(x);
      for (int i = 0; i < kLanes && half + i < count; i++)
        store_part(static_cast<Value*>(job.y) + (first + half + i) * job.y_step + d, x[i], part);
    }
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

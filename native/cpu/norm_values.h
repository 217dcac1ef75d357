#pragma once

// Kernels of norms, by the types of what they read and write.

#include "cpu/kernels.h"

namespace deepcache::cpu {

inline void channel_sums(const Kernels& kernels, const float* x, int rows, int channels,
                         const float* pivot, double* sum, double* square) {
  kernels.channel_sums(x, rows, channels, pivot, sum, square);
}
inline void channel_sums(const Kernels& kernels, const Bf16* x, int rows, int channels,
                         const Bf16* pivot, double* sum, double* square) {
  kernels.bf16->channel_sums(x, rows, channels, pivot, sum, square);
}

// y = x * scale + shift by channel, then SiLU.
struct ScaleShift {
  int rows = 0, channels = 0, y_stride = 0;
  const float *scale = nullptr, *shift = nullptr;
  bool silu = false;

  void run(const Kernels& k, const float* x, float* y) const { run(k.scale_shift, x, y); }
  void run(const Kernels& k, const float* x, Bf16* y) const { run(k.bf16->scale_shift_to, x, y); }
  void run(const Kernels& k, const Bf16* x, float* y) const { run(k.bf16->scale_shift_from, x, y); }
  void run(const Kernels& k, const Bf16* x, Bf16* y) const { run(k.bf16->scale_shift, x, y); }

 private:
  void run(const auto& kernel, const auto* x, auto* y) const {
    kernel(x, y, rows, channels, y_stride, scale, shift, silu);
  }
};

}  // namespace deepcache::cpu

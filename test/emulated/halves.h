#pragma once

// Small tensors for tests of kernels.

#include "cuda/tensor_map.h"
#include "emulated.h"

namespace deepcache::test {

// Values in [-1, 1) as halves, on the emulated GPU.
class Halves {
 public:
  explicit Halves(size_t count, unsigned seed = 0)
      : memory_(count * sizeof(cuda::Half)), count_(count) {
    uint32_t state = seed;
    for (size_t i = 0; seed && i < count; i++) {
      state = state * 1664525 + 1013904223;
      data()[i] = __float2half_rn(float(int32_t(state)) / 2147483648.0f);
    }
  }
  cuda::Half* data() { return reinterpret_cast<cuda::Half*>(memory_.data()); }
  float operator[](size_t i) { return __half2float(data()[i]); }
  size_t size() const { return count_; }

 private:
  cuda::gpu::Memory memory_;
  size_t count_;
};

inline cuda::gpu::MapAxis axis(long long size, long long step_values, int box, int stride = 1) {
  return {size, step_values * 2, box, stride};
}

}  // namespace deepcache::test

#pragma once

// PyTorch's CPU generator: the same seed gives the same numbers as torch.randn and torch.rand.

#include <cstdint>
#include <optional>
#include <vector>

#include "tensor.h"

namespace deepcache {

class Generator {
 public:
  explicit Generator(int64_t seed);
  void seed(int64_t seed);

  // torch.randn(count, dtype=...). fp32 for n >= 16 follows the scalar (libm) kernel.
  void randn(float* out, size_t count);
  void randn(double* out, size_t count);
  // The numbers that torch.randn gives in half precision: not the rounded fp32 ones.
  void randn_half(float* out, size_t count);
  // torch.rand(count).
  void rand(float* out, size_t count);
  // 32 random bits; torch.randint(0, 2**32) is the second word of two.
  uint32_t next_u32();

 private:
  void regenerate();
  uint64_t next_u64();
  float next_float();    // [0, 1), 24 bits
  double next_double();  // [0, 1), 53 bits
  double next_normal();

  uint32_t state_[624];
  int index_ = 0;
  std::optional<double> cached_normal_;
};

}  // namespace deepcache

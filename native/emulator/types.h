#pragma once

// CUDA's qualifiers and types as C++: kernels compile without a CUDA toolkit.

#include <cstdint>
#include <cstring>

#include "runtime/half.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

namespace deepcache::emulator {

inline uint16_t float_to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace deepcache::emulator

struct __half {
  uint16_t bits;
};
struct __nv_bfloat16 {
  uint16_t bits;
};
inline __half __float2half_rn(float v) { return {deepcache::float_to_half(v)}; }
inline float __half2float(__half v) { return deepcache::half_to_float(v.bits); }
inline __nv_bfloat16 __float2bfloat16_rn(float v) {
  return {deepcache::emulator::float_to_bf16(v)};
}
inline float __bfloat162float(__nv_bfloat16 v) { return deepcache::bf16_to_float(v.bits); }

// As large and as aligned as the driver's.
struct alignas(64) CUtensorMap {
  uint64_t opaque[16];
};

#pragma once

// gpu.h without nvcc: the same names, on the emulator.

#include <memory>
#include <utility>
#include <vector>

#include "emulator/emulator.h"
#include "runtime/e4m3.h"

#define PLANTED(bug) (deepcache::emulator::options.planted_bug == (bug))
#define DEVICE inline
#define DEEPCACHE_FP8 1
#define DYNAMIC_SHARED(name) \
  unsigned char* name = reinterpret_cast<unsigned char*>(deepcache::emulator::dynamic_shared())
#define SHARED_ARRAY(T, name, count) \
  T* name = reinterpret_cast<T*>(    \
      deepcache::emulator::static_shared(__FILE__, __LINE__, sizeof(T) * (count), alignof(T)))

namespace deepcache::cuda {

using Half = __half;
using Bfloat16 = __nv_bfloat16;
using Stream = emulator::Stream*;
using EventHandle = std::shared_ptr<emulator::Mark>;
using GraphHandle = emulator::Graph*;

template <typename T>
struct Number;
template <>
struct Number<__half> {
  static constexpr int kType = emulator::kHalf;
  static float widen(__half v) { return __half2float(v); }
  static __half narrow(float v) { return __float2half_rn(v); }
  static uint32_t pack(float low, float high) {
    return narrow(low).bits | uint32_t(narrow(high).bits) << 16;
  }
};
template <>
struct Number<__nv_bfloat16> {
  static constexpr int kType = emulator::kBfloat16;
  static float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
  static __nv_bfloat16 narrow(float v) { return __float2bfloat16_rn(v); }
  static uint32_t pack(float low, float high) {
    return narrow(low).bits | uint32_t(narrow(high).bits) << 16;
  }
};
template <>
struct Number<E4m3> {
  static constexpr int kType = emulator::kE4m3;
};

DEVICE void ldmatrix_x4(uint32_t (&r)[4], const void* row, EMULATOR_AT) {
  emulator::ldmatrix(r, 4, false, row, file, line);
}
DEVICE void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* row, EMULATOR_AT) {
  emulator::ldmatrix(r, 4, true, row, file, line);
}
template <typename T>
DEVICE void mma_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATOR_AT) {
  emulator::mma_16816(d, a, b, Number<T>::kType, file, line);
}
DEVICE int not_before(int value) { return value; }
DEVICE void mma_16832_e4m3(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                           EMULATOR_AT) {
  emulator::mma_16832_e4m3(d, a, b, file, line);
}
DEVICE uint16_t pack_e4m3(float low, float high) {
  return uint16_t(float_to_e4m3(low) | float_to_e4m3(high) << 8);
}
DEVICE float fast_exp2(float x) { return std::exp2(x); }
DEVICE float fast_reciprocal(float x) { return 1.0f / x; }
DEVICE void cp_async16(void* to, const void* from, bool valid, EMULATOR_AT) {
  emulator::cp_async(to, from, 16, valid ? 16 : 0, file, line);
}
DEVICE void cp_async_commit() { emulator::cp_async_commit(); }
template <int kKeep>
DEVICE void cp_async_wait() {
  emulator::cp_async_wait(kKeep);
}

namespace gpu {

template <typename... P, typename... A>
void enqueue_grid(void (*kernel)(P...), unsigned cluster, dim3 grid, dim3 block,
                  size_t shared_bytes, Stream stream, A&&... arguments) {
  emulator::launch(kernel, grid, block, shared_bytes, cluster, stream,
                   std::forward<A>(arguments)...);
}

}  // namespace gpu
}  // namespace deepcache::cuda

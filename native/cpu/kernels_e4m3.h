#pragma once

#include "kernels.h"
#include "simd.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

static inline Vec magnitude(Vec v) { return bits(bits(v) & 0x7fffffff); }

static float largest(const float* x, size_t count) {
  Vec all = {};
  for (size_t i = 0; i < count; i += kLanes)
    all =
        max(magnitude(load_part(x + i, count - i < size_t(kLanes) ? int(count - i) : kLanes)), all);
  float out = 0;
  for (int i = 0; i < kLanes; i++) out = all[i] > out ? all[i] : out;
  return out;
}

static void round_to_e4m3(const float* x, float* y, size_t count, float factor, float scale) {
  constexpr int32_t kLargest = 0x43e00000, kLeastNormal = 0x3c800000, kInfinity = 0x7f800000;
  for (size_t i = 0; i < count; i += kLanes) {
    const int part = count - i < size_t(kLanes) ? int(count - i) : kLanes;
    const Vec v = load_part(x + i, part) * factor;
    const IntVec m = bits(magnitude(v));
    // As float_to_e4m3() does (runtime/e4m3.h).
    const IntVec normal = (m + 0x7ffff + (m >> 20 & 1)) & ~0xfffff;
    const IntVec subnormal = bits((magnitude(v) + 16384.0f) - 16384.0f);
    const IntVec beyond = m > kInfinity ? m : m - m + kLargest;
    const IntVec within = m < kLeastNormal ? subnormal : normal;
    const IntVec rounded = m > kLargest ? beyond : within;
    const Vec value = bits(rounded | (bits(v) & int32_t(0x80000000)));
    store_part(y + i, value * scale, part);
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

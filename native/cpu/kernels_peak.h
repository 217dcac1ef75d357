#pragma once

#include "simd.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

// The multiply-adds that peak_loop(rounds) does: independent ones, in registers, enough of them to
// hide the latency of two units.
constexpr int kPeakChains = 12;

static double peak_loop(long rounds, float* sink) {
  Vec x[kPeakChains];
  for (int i = 0; i < kPeakChains; i++) x[i] = splat(float(i));
  const Vec a = splat(0.5f), b = splat(0.25f);
  for (long round = 0; round < rounds; round++) {
#pragma GCC unroll 16
    for (int i = 0; i < kPeakChains; i++) x[i] = fma(x[i], a, b);
  }
  Vec total = {};
  for (int i = 0; i < kPeakChains; i++) total += x[i];
  *sink = sum(total);
  return 2.0 * double(rounds) * kPeakChains * kLanes;
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

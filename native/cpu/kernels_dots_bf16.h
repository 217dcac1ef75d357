#pragma once

// Products of tiles by dot products of pairs: a register tile of some rows by one or two vectors.

#include "simd_bf16.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

struct TileScope {
  TileScope() {}
};

#if DEEPCACHE_LANES == 16
constexpr int kDotRows = 8;
#else
constexpr int kDotRows = 4;
#endif

// c (+)= a b for `Tiles` row tiles, `a_tile` values apart, and `Vectors` of a panel.
template <int Tiles, int Vectors>
static void product(int depth, const Bf16* a, ptrdiff_t a_tile, const Bf16* b, float* c,
                    bool first) {
  for (int row = 0; row < Tiles * kBf16Rows; row += kDotRows) {
    const Bf16* a_row = a + row / kBf16Rows * a_tile + row % kBf16Rows * kBf16Depth;
    const Bf16* b_row = b;
    Vec sums[kDotRows][Vectors] = {};
    for (int d = 0; d < depth; d++, a_row += kBf16Rows * kBf16Depth)
      for (int i = 0; i < kBf16Depth; i += 2, b_row += 2 * kPanel) {
        IntVec b_pairs[Vectors];
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; v++) b_pairs[v] = load_pairs(b_row + v * 2 * kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < kDotRows; r++) {
          const IntVec x = splat_pair(a_row + r * kBf16Depth + i);
#pragma GCC unroll 2
          for (int v = 0; v < Vectors; v++) sums[r][v] = dot(sums[r][v], x, b_pairs[v]);
        }
      }
#pragma GCC unroll 8
    for (int r = 0; r < kDotRows; r++)
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; v++) {
        float* to = c + (row + r) * kPanel + v * kLanes;
        store(to, first ? sums[r][v] : load(to) + sums[r][v]);
      }
  }
}

static double peak_loop_bf16(long rounds, float* sink) {
  constexpr int kChains = 16;  // as product() has
  Vec x[kChains];
  for (int i = 0; i < kChains; i++) x[i] = splat(float(i));
  IntVec a = {}, b = {};
  a += 0x3f003f00, b += 0x3e803e80;  // 0.5 and 0.25
  for (long round = 0; round < rounds; round++) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; i++) x[i] = dot(x[i], a, b);
  }
  Vec total = {};
  for (int i = 0; i < kChains; i++) total += x[i];
  *sink = sum(total);
  return 4.0 * double(rounds) * kChains * kLanes;
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

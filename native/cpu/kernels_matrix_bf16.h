#pragma once

// The matrix kernel of bf16. A product of tiles is AMX's where DEEPCACHE_TILES names a header with
// its instructions (or with a reference of them), BFMMLA's with DEEPCACHE_MMLA, and dot products of
// pairs elsewhere.

#include "kernels.h"
#include "simd_bf16.h"

#if defined(DEEPCACHE_TILES)
#include "kernels_tiles_bf16.h"
#elif defined(DEEPCACHE_MMLA)
#include "kernels_mmla_bf16.h"
#else
#include "kernels_dots_bf16.h"
#endif

namespace deepcache::cpu::DEEPCACHE_ISA {

constexpr int kTile = kBf16Rows * kBf16Depth;  // values of a tile of `a`

// c (+)= a b for `tiles` row tiles and one panel, of which the first `vectors` matter.
static inline void multiply_panel(int depth, int tiles, int vectors, const Bf16* a, const Bf16* b,
                                  float* c, bool first) {
  const ptrdiff_t a_tile = ptrdiff_t(depth) * kTile;
  for (int t = 0; t < tiles; t += 2) {
    const bool two = t + 1 < tiles;
    if (vectors == 2)
      (two ? product<2, 2> : product<1, 2>)(depth, a, a_tile, b, c, first);
    else
      (two ? product<2, 1> : product<1, 1>)(depth, a, a_tile, b, c, first);
    a += 2 * a_tile;
    c += 2 * kBf16Rows * kPanel;
  }
}

static void multiply_bf16(const Bf16Multiply& m) {
  const TileScope tiles_are_set_up;
  for (int p = 0; p < m.panels; p++) {
    const int vectors = p == m.panels - 1 && m.columns <= kLanes ? 1 : 2;
    multiply_panel(m.depth, m.tiles, vectors, m.a, m.b + p * m.b_stride,
                   m.c + ptrdiff_t(p) * m.tiles * kBf16Rows * kPanel, m.first);
  }
}

// `count` values, at most a tile's depth; the others become zero.
static inline void convert_row(const float* x, int count, float sign, Bf16* out) {
  for (int i = 0; i < kBf16Depth; i += kPanel) {
    const int left = count - i;
    const Vec low = load_part(x + i, left < 0 ? 0 : left);
    const Vec high = load_part(x + i + kLanes, left < kLanes ? 0 : left - kLanes);
    store_bf16(out + i, low * sign, high * sign);
  }
}

static inline void convert_row(const Bf16* x, int count, float sign, Bf16* out) {
  if (count >= kBf16Depth)
    __builtin_memcpy(out, x, kBf16Depth * sizeof(Bf16));
  else
    for (int i = 0; i < kBf16Depth; i++) out[i] = i < count ? x[i] : Bf16(0);
  if (sign < 0)
    for (int i = 0; i < kBf16Depth; i++) out[i] ^= 0x8000;
}

template <typename Value>
static void gather(const void* const* rows, int length, float sign, Bf16* tile, int k) {
  const int begin = k % kBf16Depth;
  tile += ptrdiff_t(k / kBf16Depth) * kTile;
  for (int r = 0; r < kBf16Rows; r++, tile += kBf16Depth) {
    const Value* x = static_cast<const Value*>(rows[r]);
    Bf16* out = tile;
    int left = length;
    if (begin) {
      alignas(64) Bf16 row[kBf16Depth];
      const int count = left < kBf16Depth - begin ? left : kBf16Depth - begin;
      convert_row(x, count, sign, row);
      __builtin_memcpy(out + begin, row, (kBf16Depth - begin) * sizeof(Bf16));
      x += count;
      left -= count;
      out += kTile;
    }
    for (; left > 0; left -= kBf16Depth, x += kBf16Depth, out += kTile)
      convert_row(x, left, sign, out);
  }
}

static void pair(const float* even, const float* odd, Bf16* out) {
  for (int v = 0; v < kPanel; v += kLanes)
    store_pairs(out + 2 * v, pairs(load(even + v), load(odd + v)));
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

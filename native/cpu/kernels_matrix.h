#pragma once

// The matrix kernel: a register tile of up to kTileRows rows by one or two vectors, fed by a tile
// of `a` that was transposed to [k][rows] and a panel of `b`. Everything that multiplies (linear
// layers, convolutions, attention) is this loop.

#include "kernels.h"
#include "simd.h"
#include "transpose.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

// c[r * c_stride + v] (+)= sum over i < k of a[i * a_stride + r] * b[i * kPanel + v]. Each block of
// k is summed from zero and then added: long sums keep more of their last bits than in one running
// sum.
template <int Rows, int Vectors>
static void tile(int k, const float* a, ptrdiff_t a_stride, const float* b, float* c,
                 ptrdiff_t c_stride, bool first) {
  Vec sums[Rows][Vectors] = {};
  for (int i = 0; i < k; i++) {
    Vec b_row[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; v++) b_row[v] = load(b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const Vec x = splat(a[r]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; v++) sums[r][v] = fma(x, b_row[v], sums[r][v]);
    }
    a += a_stride;
    b += kPanel;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; v++) {
      float* to = c + r * c_stride + v * kLanes;
      store(to, first ? sums[r][v] : load(to) + sums[r][v]);
    }
}

using Tile = void (*)(int, const float*, ptrdiff_t, const float*, float*, ptrdiff_t, bool);

template <int Rows>
struct TileTable {
  static Tile get(int rows, int vectors) {
    if (rows == Rows) return vectors == 1 ? tile<Rows, 1> : tile<Rows, 2>;
    return TileTable<Rows - 1>::get(rows, vectors);
  }
};
template <>
struct TileTable<0> {
  static Tile get(int, int) { return nullptr; }
};

static inline Tile choose_tile(int rows, int vectors) {
  return TileTable<kTileRows>::get(rows, vectors);
}

static void multiply(const Multiply& m) {
  const ptrdiff_t c_stride = m.c_stride ? ptrdiff_t(m.c_stride) : kPanel;
  const ptrdiff_t c_panel = m.c_stride ? kPanel : ptrdiff_t(m.rows) * kPanel;
  for (int p = 0; p < m.panels; p++) {
    const int vectors = p == m.panels - 1 && m.columns <= kLanes ? 1 : 2;
    for (int t = 0; t < m.tiles; t++) {
      const int begin = int(int64_t(m.rows) * t / m.tiles);
      const int rows = int(int64_t(m.rows) * (t + 1) / m.tiles) - begin;
      choose_tile(rows, vectors)(m.k, m.a + ptrdiff_t(begin) * m.k, rows, m.b + p * m.b_stride,
                                 m.c + p * c_panel + begin * c_stride, c_stride, m.first);
    }
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

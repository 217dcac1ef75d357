#pragma once

// The matrix kernel: a register tile of up to kTileRows rows by one or two vectors, fed by a tile
// of `a` that was transposed to [k][rows] and a panel of `b`. Everything that multiplies (linear
// layers, convolutions, attention) is this loop.

#include "kernels.h"
#include "simd.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

// c[r][v] (+)= sum over i < k of a[i * a_stride + r] * b[i * kPanel + v].
template <int Rows, int Vectors>
static void tile(int k, const float* a, ptrdiff_t a_stride, const float* b, float* c, bool first) {
  Vec sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; v++)
      sums[r][v] = first ? Vec{} : load(c + r * kPanel + v * kLanes);
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
    for (int v = 0; v < Vectors; v++) store(c + r * kPanel + v * kLanes, sums[r][v]);
}

using Tile = void (*)(int, const float*, ptrdiff_t, const float*, float*, bool);

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
  for (int p = 0; p < m.panels; p++) {
    const int vectors = p == m.panels - 1 && m.columns <= kLanes ? 1 : 2;
    for (int t = 0; t < m.tiles; t++) {
      const int begin = int(int64_t(m.rows) * t / m.tiles);
      const int rows = int(int64_t(m.rows) * (t + 1) / m.tiles) - begin;
      choose_tile(rows, vectors)(m.k, m.a + ptrdiff_t(begin) * m.k, rows, m.b + p * m.b_stride,
                                 m.c + (ptrdiff_t(p) * m.rows + begin) * kPanel, m.first);
    }
  }
}

// Interleaving the first half of the vectors with the second, log2(lanes) times over, is a
// transposition (a perfect shuffle of the index bits).
#if defined(__AVX512F__)
#define DEEPCACHE_ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define DEEPCACHE_ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined(__AVX2__)
#define DEEPCACHE_ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define DEEPCACHE_ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define DEEPCACHE_ZIP_LOW 0, 4, 1, 5
#define DEEPCACHE_ZIP_HIGH 2, 6, 3, 7
#endif

static inline void transpose_square(Vec (&x)[kLanes]) {
#pragma GCC unroll 4
  for (int step = 1; step < kLanes; step *= 2) {
    Vec y[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; i++) {
      y[2 * i] = __builtin_shufflevector(x[i], x[i + kLanes / 2], DEEPCACHE_ZIP_LOW);
      y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + kLanes / 2], DEEPCACHE_ZIP_HIGH);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++) x[i] = y[i];
  }
}

// Up to kLanes rows.
static inline void transpose_rows(const float* const* rows, int count, int length, float* out,
                                  ptrdiff_t stride) {
  const float* from[kLanes];
  for (int r = 0; r < kLanes; r++) from[r] = rows[r < count ? r : 0];
  int i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    Vec x[kLanes];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; r++) x[r] = load(from[r] + i);
    transpose_square(x);
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; r++) store(out + (i + r) * stride, x[r]);
  }
  if (i < length) {
    Vec x[kLanes];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; r++) x[r] = load_part(from[r] + i, length - i);
    transpose_square(x);
    for (int r = 0; r < length - i; r++) store(out + (i + r) * stride, x[r]);
  }
}

// More than one vector of rows goes piece by piece along the length, so that the output's cache
// lines are written together. `stride` has room for whole vectors then.
static void transpose(const float* const* rows, int count, int length, float* out, int stride) {
  if (count <= kLanes) return transpose_rows(rows, count, length, out, stride);
  for (int i = 0; i < length; i += kLanes) {
    const int part = length - i < kLanes ? length - i : kLanes;
    for (int r = 0; r < count; r += kLanes) {
      const float* from[kLanes];
      const int some = count - r < kLanes ? count - r : kLanes;
      for (int j = 0; j < some; j++) from[j] = rows[r + j] + i;
      transpose_rows(from, some, part, out + ptrdiff_t(i) * stride + r, stride);
    }
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

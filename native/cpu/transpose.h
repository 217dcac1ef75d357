#pragma once

// Rows of floats, or of anything as wide, as columns.

#include "simd.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

// Shuffles within 128-bit quarters of a vector, and of whole quarters: instructions of one cycle
// where general permutations take more.
// DEEPCACHE_SHUFFLE repeats a pattern for every quarter; lanes from kLanes on are the second's.
#if DEEPCACHE_LANES == 16
#define DEEPCACHE_QUARTERS(a, b, c, d) \
  a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12
#elif DEEPCACHE_LANES == 8
#define DEEPCACHE_QUARTERS(a, b, c, d) a, b, c, d, a + 4, b + 4, c + 4, d + 4
#else
#define DEEPCACHE_QUARTERS(a, b, c, d) a, b, c, d
#endif
#define DEEPCACHE_SHUFFLE(x, y, a, b, c, d) \
  __builtin_shufflevector(x, y, DEEPCACHE_QUARTERS(a, b, c, d))

static inline void transpose_square(Vec (&x)[kLanes]) {
  constexpr int L = kLanes;
  // 4x4 blocks: afterwards quarter q of x[4g + j] is column 4q + j of rows 4g to 4g + 3.
#pragma GCC unroll 4
  for (int g = 0; g < kLanes; g += 4) {
    const Vec a = DEEPCACHE_SHUFFLE(x[g], x[g + 1], 0, L, 1, L + 1);
    const Vec b = DEEPCACHE_SHUFFLE(x[g], x[g + 1], 2, L + 2, 3, L + 3);
    const Vec c = DEEPCACHE_SHUFFLE(x[g + 2], x[g + 3], 0, L, 1, L + 1);
    const Vec d = DEEPCACHE_SHUFFLE(x[g + 2], x[g + 3], 2, L + 2, 3, L + 3);
    x[g] = DEEPCACHE_SHUFFLE(a, c, 0, 1, L, L + 1);
    x[g + 1] = DEEPCACHE_SHUFFLE(a, c, 2, 3, L + 2, L + 3);
    x[g + 2] = DEEPCACHE_SHUFFLE(b, d, 0, 1, L, L + 1);
    x[g + 3] = DEEPCACHE_SHUFFLE(b, d, 2, 3, L + 2, L + 3);
  }
  // Then the blocks among themselves.
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
#if DEEPCACHE_LANES == 16
#define DEEPCACHE_EVEN 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define DEEPCACHE_ODD 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
    const Vec a = __builtin_shufflevector(x[j], x[4 + j], DEEPCACHE_EVEN);
    const Vec b = __builtin_shufflevector(x[j], x[4 + j], DEEPCACHE_ODD);
    const Vec c = __builtin_shufflevector(x[8 + j], x[12 + j], DEEPCACHE_EVEN);
    const Vec d = __builtin_shufflevector(x[8 + j], x[12 + j], DEEPCACHE_ODD);
    x[j] = __builtin_shufflevector(a, c, DEEPCACHE_EVEN);
    x[4 + j] = __builtin_shufflevector(b, d, DEEPCACHE_EVEN);
    x[8 + j] = __builtin_shufflevector(a, c, DEEPCACHE_ODD);
    x[12 + j] = __builtin_shufflevector(b, d, DEEPCACHE_ODD);
#elif DEEPCACHE_LANES == 8
    const Vec a = x[j], b = x[4 + j];
    x[j] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    x[4 + j] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
#endif
  }
}

// Up to kLanes rows. Away: past the caches.
template <bool Away>
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
    for (int r = 0; r < kLanes; r++)
      Away ? store_away(out + (i + r) * stride, x[r]) : store(out + (i + r) * stride, x[r]);
  }
  if (i < length) {
    Vec x[kLanes];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; r++) x[r] = load_part(from[r] + i, length - i);
    transpose_square(x);
    for (int r = 0; r < length - i; r++)
      Away ? store_away(out + (i + r) * stride, x[r]) : store(out + (i + r) * stride, x[r]);
  }
}

// More than one vector of rows goes piece by piece along the length, so that the output's cache
// lines are written together. `stride` has room for whole vectors then.
template <bool Away>
static inline void transpose_pieces(const float* const* rows, int count, int length, float* out,
                                    ptrdiff_t stride) {
  for (int i = 0; i < length; i += kLanes) {
    const int part = length - i < kLanes ? length - i : kLanes;
    for (int r = 0; r < count; r += kLanes) {
      const float* from[kLanes];
      const int some = count - r < kLanes ? count - r : kLanes;
      for (int j = 0; j < some; j++) from[j] = rows[r + j] + i;
      transpose_rows<Away>(from, some, part, out + i * stride + r, stride);
    }
  }
}

static inline void transpose(const float* const* rows, int count, int length, float* out,
                             int stride) {
  if (count <= kLanes) return transpose_rows<false>(rows, count, length, out, stride);
  transpose_pieces<false>(rows, count, length, out, stride);
}

static inline void transpose_away(const float* const* rows, int length, float* out) {
  transpose_pieces<true>(rows, kPanel, length, out, kPanel);
  fence_stores();
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

#pragma once

// Products of tiles by BFMMLA: two rows by two columns, four of k deep, in one instruction. Rows
// and pairs lie in memory as dot products take them, and are brought into its order on the way.

#include <arm_neon.h>

#include "simd_bf16.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

struct TileScope {
  TileScope() {}
};

static inline int32x4_t load_eight(const Bf16* p) { return int32x4_t(vld1q_u16(p)); }

// [2][2] sums += a [2 rows][4] b [2 columns][4]. The assembler is told here alone what it may use:
// compilers have no option of the same name for it.
static inline float32x4_t matrix_dot(float32x4_t sums, int32x4_t a, int32x4_t b) {
  __asm__(".arch_extension bf16\n\tbfmmla %0.4s, %1.8h, %2.8h" : "+w"(sums) : "w"(a), "w"(b));
  return sums;
}

// The lower halves of both, and the upper ones.
template <typename T>
static inline T lower(T a, T b) {
  return T(vzip1q_s64(int64x2_t(a), int64x2_t(b)));
}
template <typename T>
static inline T upper(T a, T b) {
  return T(vzip2q_s64(int64x2_t(a), int64x2_t(b)));
}

// Sixteen sums of a register each: eight rows by eight columns, or four where a panel has no more.
constexpr int kRowPairs = 4, kMostFours = 2;

template <int Tiles, int Vectors>
static void product(int depth, const Bf16* a, ptrdiff_t a_tile, const Bf16* b, float* c,
                    bool first) {
  constexpr int kFours = Vectors * kLanes >= 4 * kMostFours ? kMostFours : 1;
  for (int row = 0; row < Tiles * kBf16Rows; row += 2 * kRowPairs)
    for (int column = 0; column < Vectors * kLanes; column += 4 * kFours) {
      const Bf16* a_row = a + row / kBf16Rows * a_tile + row % kBf16Rows * kBf16Depth;
      const Bf16* b_row = b + 2 * column;
      float32x4_t sums[kRowPairs][kFours][2] = {};
      for (int d = 0; d < depth; d++, a_row += kBf16Rows * kBf16Depth)
        for (int i = 0; i < kBf16Depth; i += 8) {
          int32x4_t rows[kRowPairs][2];  // of each half of the eight k
#pragma GCC unroll 4
          for (int r = 0; r < kRowPairs; r++) {
            const int32x4_t even = load_eight(a_row + 2 * r * kBf16Depth + i);
            const int32x4_t odd = load_eight(a_row + (2 * r + 1) * kBf16Depth + i);
            rows[r][0] = lower(even, odd);
            rows[r][1] = upper(even, odd);
          }
#pragma GCC unroll 2
          for (int half = 0; half < 2; half++, b_row += 4 * kPanel)
#pragma GCC unroll 2
            for (int f = 0; f < kFours; f++) {
              const int32x4_t k0 = load_eight(b_row + 8 * f),
                              k2 = load_eight(b_row + 8 * f + 2 * kPanel);
              const int32x4_t left = vzip1q_s32(k0, k2);
              const int32x4_t right = vzip2q_s32(k0, k2);
#pragma GCC unroll 4
              for (int r = 0; r < kRowPairs; r++) {
                sums[r][f][0] = matrix_dot(sums[r][f][0], rows[r][half], left);
                sums[r][f][1] = matrix_dot(sums[r][f][1], rows[r][half], right);
              }
            }
        }
#pragma GCC unroll 4
      for (int r = 0; r < kRowPairs; r++)
#pragma GCC unroll 2
        for (int f = 0; f < kFours; f++) {
          float* const to = c + (row + 2 * r) * kPanel + column + 4 * f;
          const float32x4_t even = lower(sums[r][f][0], sums[r][f][1]);
          const float32x4_t odd = upper(sums[r][f][0], sums[r][f][1]);
          vst1q_f32(to, first ? even : vld1q_f32(to) + even);
          vst1q_f32(to + kPanel, first ? odd : vld1q_f32(to + kPanel) + odd);
        }
    }
}

static double peak_loop_bf16(long rounds, float* sink) {
  constexpr int kChains = 2 * kRowPairs * kMostFours;
  float32x4_t x[kChains] = {};
  const int32x4_t a = vdupq_n_s32(0x3f003f00), b = vdupq_n_s32(0x3e803e80);  // 0.5 and 0.25
  for (long round = 0; round < rounds; round++) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; i++) x[i] = matrix_dot(x[i], a, b);
  }
  float32x4_t total = {};
  for (int i = 0; i < kChains; i++) total += x[i];
  *sink = vaddvq_f32(total);
  return 2.0 * double(rounds) * kChains * 16;
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

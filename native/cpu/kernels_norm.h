#pragma once

#include "kernels.h"
#include "simd_bf16.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

// Sums of 32 rows at a time in fp32, these in double. Taking a pivot off first keeps the squares
// from cancelling where a channel's mean is large against its deviation.
template <typename Value>
static void channel_sums(const Value* x, int rows, int channels, const Value* pivot, double* sum,
                         double* square) {
  constexpr int kVectors = 4, kRows = 32;
  for (int first = 0; first < rows; first += kRows) {
    const int last = first + kRows < rows ? first + kRows : rows;
    for (int c = 0; c < channels; c += kVectors * kLanes) {
      Vec sums[kVectors] = {}, squares[kVectors] = {}, pivots[kVectors] = {};
      const int left = channels - c;
      if (left >= kVectors * kLanes) {
        for (int v = 0; v < kVectors; v++) pivots[v] = load(pivot + c + v * kLanes);
        for (int r = first; r < last; r++) {
          const Value* row = x + ptrdiff_t(r) * channels + c;
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; v++) {
            const Vec d = load(row + v * kLanes) - pivots[v];
            sums[v] += d;
            squares[v] = fma(d, d, squares[v]);
          }
        }
      } else {
        for (int v = 0; v * kLanes < left; v++) {
          const int part = left - v * kLanes;
          const Vec p = load_part(pivot + c + v * kLanes, part);
          for (int r = first; r < last; r++) {
            const Vec d = load_part(x + ptrdiff_t(r) * channels + c + v * kLanes, part) - p;
            sums[v] += d;
            squares[v] = fma(d, d, squares[v]);
          }
        }
      }
      for (int v = 0; v < kVectors; v++)
        for (int i = 0; i < kLanes && c + v * kLanes + i < channels; i++) {
          sum[c + v * kLanes + i] += double(sums[v][i]);
          square[c + v * kLanes + i] += double(squares[v][i]);
        }
    }
  }
}

template <typename From, typename To>
static void scale_shift(const From* x, To* y, int rows, int channels, int y_stride,
                        const float* scale, const float* shift, bool with_silu) {
  for (int r = 0; r < rows; r++, x += channels, y += y_stride) {
    for (int c = 0; c < channels; c += kLanes) {
      const int part = channels - c;
      Vec v = fma(load_part(x + c, part), load_part(scale + c, part), load_part(shift + c, part));
      if (with_silu) v = silu(v);
      store_part(y + c, v, part);
    }
  }
}

template <typename To>
static void layer_norm(const float* x, To* y, int rows, int channels, const float* gamma,
                       const float* beta, float epsilon) {
  for (int r = 0; r < rows; r++, x += channels, y += channels) {
    Vec sums = {};
    for (int c = 0; c < channels; c += kLanes) sums += load_part(x + c, channels - c);
    float mean = sum(sums) / float(channels);
    // Deviations from this mean also say how far off rounding left it.
    Vec off = {}, squares = {};
    int c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      const Vec d = load(x + c) - mean;
      off += d;
      squares = fma(d, d, squares);
    }
    for (; c < channels; c++) {
      const float d = x[c] - mean;
      off[0] += d;
      squares[0] += d * d;
    }
    const float correction = sum(off) / float(channels);
    const float variance = sum(squares) / float(channels) - correction * correction;
    mean += correction;
    const float scale = 1.0f / __builtin_sqrtf(variance + epsilon);
    for (c = 0; c < channels; c += kLanes) {
      const int part = channels - c;
      Vec v = (load_part(x + c, part) - mean) * scale;
      if (gamma) v *= load_part(gamma + c, part);
      if (beta) v += load_part(beta + c, part);
      store_part(y + c, v, part);
    }
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

#pragma once

// Products of e4m3 codes (runtime/e4m3.h) by mma.sync, and what their sums are in values: a code of
// the weight has the scale of its output, one of the input that of its row or its sample.

#include "cuda/kernels/matmul_epilogue.h"

namespace deepcache::cuda {

template <typename Operand>
DEVICE void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (kIsFp8<Operand>)
    mma_16832_e4m3(d, a, b);
  else
    mma_16816<Operand>(d, a, b);
}

DEVICE float input_scale(const MatmulArgs& a, const OutputRow& row) {
  if (!row.valid) return 0;
  return a.segments[0].input_scales[a.scales_rows ? row.partial : size_t(row.sample) + PLANTED(90)];
}

// From sums of products of codes to values, with the bias.
template <int kBlocks>
DEVICE void scale_codes(const MatmulArgs& a, const OutputRow& row, int first, int half,
                        float (&sums)[kBlocks][4]) {
  const float input = input_scale(a, row);
#pragma unroll
  for (int b = 0; b < kBlocks; b++) {
    const int column = first + pair_column(b);
    if (column >= a.columns) continue;
    const float2 scale = *reinterpret_cast<const float2*>(a.segments[0].weight_scales + column);
    const float2 bias = a.apart() ? float2{0, 0} : bias_pair(a, column);
    float* const pair = sums[b] + 2 * half;
    pair[0] = pair[0] * (input * scale.x) + bias.x;
    pair[1] = pair[1] * (input * scale.y) + bias.y;
  }
}

}  // namespace deepcache::cuda

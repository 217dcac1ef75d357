#pragma once

// What the products' kernels do before and behind the sums of k. Both families hold sums as
// mma.sync and wgmma lay them out: the four lanes 4 r to 4 r + 3 (a quad) have two neighbours in
// each block of 8 columns of row r. By the order of the weight's rows (packed_rows.h) those of two
// blocks are four neighbouring outputs: a lane writes 8 bytes, the quad 32 in a row, a sector of
// the memory. The residual comes in the same way, all of a row's loads in flight together.

#include "cuda/kernels/matmul.h"

namespace deepcache::cuda {

// Where the results of one row go.
struct OutputRow {
  bool valid = false;
  int sample = 0;
  size_t at = 0;    // of its first channel in y and the residual
  int partial = 0;  // its row of a split's partials
};

DEVICE OutputRow output_row(const MatmulArgs& a, int phase, int sample, int i, int j) {
  OutputRow row;
  row.valid = sample < a.samples && i < a.out_h && j < a.out_w;
  row.sample = sample;
  const int odd_y = phase >> 1, odd_x = phase & 1, step = a.phases > 1 ? 2 : 1;
  const int pixel = (sample * a.y_h + i * step + odd_y) * a.y_w + j * step + odd_x;
  row.at = size_t(unsigned(pixel)) * unsigned(a.y_channels);
  row.partial = phase * a.rows + (sample * a.out_h + i) * a.out_w + j;
  return row;
}

// Of the row'th pixel.
DEVICE OutputRow output_row(const MatmulArgs& a, int phase, int row) {
  const int area = a.out_h * a.out_w, n = row / area, p = row - n * area, i = p / a.out_w;
  OutputRow out = output_row(a, phase, n, i, p - i * a.out_w);
  out.valid = row < a.rows + PLANTED(4);
  return out;
}

// The bias of a column. geglu: value and gate are neighbours in the weight, not in the bias.
DEVICE float bias_of(const MatmulArgs& a, int column, bool geglu) {
  if (column >= a.columns) return 0;
  const int at = geglu ? column / 2 + column % 2 * a.y_channels : column;
  float sum = 0;
#pragma unroll
  for (const MatmulSegment& segment : a.segments)
    if (segment.bias) sum += segment.bias[at];
  return sum;
}

DEVICE float2 bias_pair(const MatmulArgs& a, int column) {
  const bool geglu = a.activation == Activation::geglu;
  if (geglu || a.columns % 2 != 0)
    return {bias_of(a, column, geglu), bias_of(a, column + 1, geglu)};
  float2 sum = {0, 0};
  if (column >= a.columns) return sum;
#pragma unroll
  for (const MatmulSegment& segment : a.segments) {
    if (!segment.bias) continue;
    const float2 add = *reinterpret_cast<const float2*>(segment.bias + column);
    sum = {sum.x + add.x, sum.y + add.y};
  }
  return sum;
}

// The row vector of a sample.
template <typename T>
DEVICE float row_value(const MatmulArgs& a, int sample, int column) {
  if (!a.has_row || column >= a.columns) return 0;
  return load<T>(a.row, size_t(sample) * a.row_stride + a.row_offset + column);
}
template <typename T>
DEVICE float2 row_pair(const MatmulArgs& a, int sample, int column) {
  if (!a.row_pairs || !a.has_row || column >= a.columns)
    return {row_value<T>(a, sample, column), row_value<T>(a, sample, column + 1)};
  return load_pair<T>(a.row, size_t(sample) * a.row_stride + a.row_offset + column);
}

// Finishes columns `column` and the next of a row, whatever y and the activation are.
template <typename T>
DEVICE void write_pair(const MatmulArgs& a, const OutputRow& row, int column, float2 v) {
  if (!row.valid || column >= a.columns) return;
  const bool geglu = a.activation == Activation::geglu;
  const size_t at = row.at + (geglu ? column / 2 : column);
  const bool two = !geglu && column + 1 < a.columns;
  v = geglu ? float2{v.x * activate(Activation::gelu, v.y), 0}
            : float2{activate(a.activation, v.x), activate(a.activation, v.y)};
  float2 residual = {0, 0};
  if (a.has_residual && two && a.pairs) {
    residual = load_pair<T>(a.residual, at);
  } else if (a.has_residual) {
    residual.x = load<T>(a.residual, at);
    if (two) residual.y = load<T>(a.residual, at + 1);
  }
  v = {a.scale * v.x + a.residual_scale * residual.x,
       a.scale * v.y + a.residual_scale * residual.y};
  if (two && a.pairs) return store_pair<T>(a.y, at, v);
  store<T>(a.y, at, v.x);
  if (two) store<T>(a.y, at + 1, v.y);
}

// The first column of a lane's pair in block b of 8 of a tensor core's product (packed_rows.h).
DEVICE int pair_column(int b) { return b / 2 * kPackedRows + int(threadIdx.x) % 4 * 4 + b % 2 * 2; }

// Four neighbouring columns of each group of 16 of a row, which a lane finishes.
template <typename T, Finish kFinish>
class Fours {
 public:
  DEVICE Fours(const MatmulArgs& a, const OutputRow& row, int split, int first_column) : args_(a) {
    const int first = first_column + pair_column(0);
    left_ = row.valid ? a.columns - first : 0;
    const size_t at = row.at + (kFinish == Finish::geglu ? first / 2 : first);
    if constexpr (kFinish == Finish::apart)
      partials_ = a.partials +
                  size_t(unsigned(split * a.phases * a.rows + row.partial)) * unsigned(a.columns) +
                  first;
    else
      y_ = static_cast<T*>(a.y.data) + at;
    if constexpr (kResidual) residual_ = static_cast<const T*>(a.residual.data) + at;
  }

  // What group g is added to.
  DEVICE uint2 load_residual(int g) const {
    if constexpr (kResidual)
      if (has(g) && (kFinish == Finish::residual || args_.has_residual))
        return *reinterpret_cast<const uint2*>(residual_ + g * kPackedRows);
    return {0, 0};
  }

  DEVICE void write(int g, float4 v, uint2 residual) const {
    if constexpr (kFinish == Finish::apart) {
      if (!has(g)) return;
      float* const to = partials_ + g * kPackedRows;
      if (args_.columns % 4 == 0) {
        *reinterpret_cast<float4*>(to) = v;
      } else {
        const float values[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
          if (g * kPackedRows + i < left_) to[i] = values[i];
      }
    } else if constexpr (kFinish == Finish::geglu) {
      const uint32_t out = Number<T>::pack(v.x * gelu(v.y), v.z * gelu(v.w));
      if (has(g)) *reinterpret_cast<uint32_t*>(y_ + g * kPackedRows / 2) = out;
    } else {
      v = finish(v, unpack<T>(residual.x), unpack<T>(residual.y));
      const uint2 out = {Number<T>::pack(v.x, v.y), Number<T>::pack(v.z, v.w)};
      if (has(g)) *reinterpret_cast<uint2*>(y_ + g * kPackedRows) = out;
    }
  }

 private:
  static constexpr bool kResidual = kFinish == Finish::residual || kFinish == Finish::general;

  DEVICE bool has(int g) const { return g * kPackedRows < left_; }

  DEVICE float4 finish(float4 v, float2 low, float2 high) const {
    if constexpr (kFinish == Finish::plain) return v;
    if constexpr (kFinish == Finish::residual)
      return {v.x + low.x, v.y + low.y, v.z + high.x, v.w + high.y};
    if (args_.activation == Activation::silu)
      v = {v.x * sigmoid(v.x), v.y * sigmoid(v.y), v.z * sigmoid(v.z), v.w * sigmoid(v.w)};
    const float scale = args_.scale, other = args_.residual_scale;
    return {scale * v.x + other * low.x, scale * v.y + other * low.y, scale * v.z + other * high.x,
            scale * v.w + other * high.y};
  }

  const MatmulArgs& args_;
  int left_;  // columns from the lane's first on
  T* y_ = nullptr;
  const T* residual_ = nullptr;
  float* partials_ = nullptr;
};

// The sums of mma.sync, [16 rows][8 columns]: they begin with the bias of their columns.
template <int kRows, int kBlocks>
DEVICE void begin_with_bias(const MatmulArgs& a, int first, float (&sums)[kRows][kBlocks][4]) {
#pragma unroll
  for (int b = 0; b < kBlocks; b++) {
    const int column = first + pair_column(b);
    const float2 bias = bias_pair(a, column);
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      sums[i][b][0] = sums[i][b][2] = bias.x;
      sums[i][b][1] = sums[i][b][3] = bias.y;
    }
  }
}

template <typename T, int kBlocks>
DEVICE void add_row_vector(const MatmulArgs& a, const OutputRow& row, int first, int half,
                           float (&sums)[kBlocks][4]) {
  if (!row.valid) return;
#pragma unroll
  for (int b = 0; b < kBlocks; b++) {
    const float2 add = row_pair<T>(a, row.sample, first + pair_column(b));
    sums[b][2 * half] += add.x;
    sums[b][2 * half + 1] += add.y;
  }
}

// All lanes of the warp call it for a row of theirs.
template <typename T, Finish kFinish, int kBlocks>
DEVICE void write_row(const MatmulArgs& a, const OutputRow& row, int split, int first_column,
                      int half, const float (&sums)[kBlocks][4]) {
  const Fours<T, kFinish> fours(a, row, split, first_column);
  uint2 residual[kBlocks / 2];
#pragma unroll
  for (int g = 0; g < kBlocks / 2; g++) residual[g] = fours.load_residual(g);
#pragma unroll
  for (int g = 0; g < kBlocks / 2; g++) {
    const float *const low = sums[2 * g] + 2 * half, *const high = sums[2 * g + 1] + 2 * half;
    fours.write(g, {low[0], low[1], high[0], high[1]}, residual[g]);
  }
}

}  // namespace deepcache::cuda

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
// Returns what was written there.
template <typename T>
DEVICE float2 write_pair(const MatmulArgs& a, const OutputRow& row, int column, float2 v) {
  if (!row.valid || column >= a.columns) return {0, 0};
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
  if (two && a.pairs) {
    store_pair<T>(a.y, at, v);
    return v;
  }
  store<T>(a.y, at, v.x);
  if (two) store<T>(a.y, at + 1, v.y);
  return v;
}

// The first column of a lane's pair in block b of 8 of a tensor core's product (packed_rows.h).
DEVICE int pair_column(int b) { return b / 2 * kPackedRows + int(threadIdx.x) % 4 * 4 + b % 2 * 2; }

// The mean and the deviation of a row of x, as what a sum of its products with a column's weights
// becomes: x times it, plus y times the sum of these weights.
//
// The variance is a difference of sums in fp32, off by about 2e-7 of the mean's square. Values of
// fp16 are off by 1.4e-4 of it each, which is more of the result until the mean is 1400 deviations;
// beyond, a row is noise to who reads it in 16 bits. There the variance has a floor: what fp32 lost
// is not enlarged, and a row of equal values still becomes what the norm adds.
DEVICE float2 norm_of(const MatmulArgs& a, float sum, float squares) {
  constexpr float kLeast = 4e-7f;  // of the mean's square
  const float mean = sum * a.inverse_channels, square = mean * mean;
  const float variance = fmaxf(squares * a.inverse_channels - square, kLeast * square);
  const float scale = *a.norm_scale * fast_reciprocal(sqrtf(variance + a.epsilon));
  return {scale, -mean * scale};
}

// Of the row of a quad, whose lanes take turns in its parts. All lanes of the warp call it.
DEVICE float2 quad_norm(const MatmulArgs& a, const OutputRow& row) {
  float2 sum = {0, 0};
  const float2* const from = a.input_sums + size_t(unsigned(row.partial)) * unsigned(a.input_parts);
  if (row.valid)
    for (int part = int(threadIdx.x) % 4; part < a.input_parts - PLANTED(97); part += 4) {
      const float2 more = from[part];
      sum = {sum.x + more.x, sum.y + more.y};
    }
#pragma unroll
  for (int by = 1; by <= 2; by *= 2) {
    sum.x += __shfl_xor_sync(kAllLanes, sum.x, by);
    sum.y += __shfl_xor_sync(kAllLanes, sum.y, by);
  }
  return norm_of(a, sum.x, sum.y);
}

// Adds up what a quad has of a row's part, which begins at a column, and keeps it for the product
// behind. All lanes of the warp call it.
DEVICE void keep_sums(const MatmulArgs& a, const OutputRow& row, int first_column, float2 sum) {
#pragma unroll
  for (int by = 1; by <= (PLANTED(95) ? 1 : 2); by *= 2) {
    sum.x += __shfl_xor_sync(kAllLanes, sum.x, by);
    sum.y += __shfl_xor_sync(kAllLanes, sum.y, by);
  }
  if (int(threadIdx.x) % 4 == 0 && row.valid && first_column < a.columns)
    a.sums[size_t(unsigned(row.partial)) * unsigned(a.parts()) + first_column / a.part_columns] =
        sum;
}

DEVICE void add_to_sums(float2& sums, float4 v) {
  sums.x += v.x + v.y + (v.z + v.w);
  sums.y = v.w * v.w + (v.z * v.z + (v.y * v.y + (v.x * v.x + sums.y)));
}

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

  // Returns the values of y, zeros behind its columns.
  DEVICE float4 write(int g, float4 v, uint2 residual) const {
    if constexpr (kFinish == Finish::apart) {
      if (!has(g)) return v;
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
    return v;
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
  float2 kept = {0, 0};
  const Fours<T, kUnfolded<kFinish>> fours(a, row, split, first_column);
  uint2 residual[kBlocks / 2];
#pragma unroll
  for (int g = 0; g < kBlocks / 2; g++) residual[g] = fours.load_residual(g);
#pragma unroll
  for (int g = 0; g < kBlocks / 2; g++) {
    const float *const low = sums[2 * g] + 2 * half, *const high = sums[2 * g + 1] + 2 * half;
    const float4 v = fours.write(g, {low[0], low[1], high[0], high[1]}, residual[g]);
    if constexpr (kIsSummed<kFinish>) add_to_sums(kept, v);
  }
  if constexpr (kIsSummed<kFinish>) keep_sums(a, row, first_column, kept);
}

// From sums of products with a row of x to those with the normalised one, with the bias.
template <int kBlocks>
DEVICE void norm_sums(const MatmulArgs& a, const OutputRow& row, int first, int half,
                      float (&sums)[kBlocks][4]) {
  const float2 norm = quad_norm(a, row);
#pragma unroll
  for (int b = 0; b < kBlocks; b++) {
    const int column = first + pair_column(b);
    if (column >= a.columns) continue;
    const float2 weights = *reinterpret_cast<const float2*>(a.weight_sums + column);
    const float2 bias = bias_pair(a, column);
    float* const pair = sums[b] + 2 * half;
    pair[0] = pair[0] * norm.x + (weights.x * norm.y + bias.x);
    pair[1] = pair[1] * norm.x + (weights.y * norm.y + bias.y);
  }
}

}  // namespace deepcache::cuda

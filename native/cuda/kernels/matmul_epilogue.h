#pragma once

// What the products' kernels do before and behind the sums of k. Both families hold sums as
// mma.sync and wgmma lay them out: the four lanes 4 r to 4 r + 3 (a quad) have a row's columns
// 8 b + 2 (lane % 4) and the next of each block b of 8.
//
// Sums begin with the bias and the row vector, so that these loads overlap with the pipeline's
// start. Results become 16-bit pairs, which a quad transposes: each lane then writes 16 bytes, the
// quad 64 in a row. The residual comes in the same way, all of a row's loads in flight together.

#include "cuda/kernels/matmul.h"

namespace deepcache::cuda {

// Where the results of one row go.
struct OutputRow {
  bool valid = false;
  int sample = 0;
  size_t at = 0;       // of its first channel in y and the residual
  size_t partial = 0;  // its row of a split's partials
};

DEVICE OutputRow output_row(const MatmulArgs& a, int phase, int sample, int i, int j) {
  OutputRow row;
  row.valid = sample < a.samples && i < a.out_h && j < a.out_w;
  row.sample = sample;
  const int odd_y = phase >> 1, odd_x = phase & 1, step = a.phases > 1 ? 2 : 1;
  row.at = ((size_t(sample) * a.y_h + i * step + odd_y) * a.y_w + j * step + odd_x) * a.y_channels;
  row.partial = size_t(phase) * a.rows + (size_t(sample) * a.out_h + i) * a.out_w + j;
  return row;
}

// Of the row'th pixel.
DEVICE OutputRow output_row(const MatmulArgs& a, int phase, int row) {
  const int area = a.out_h * a.out_w, n = row / area, p = row - n * area, i = p / a.out_w;
  OutputRow out = output_row(a, phase, n, i, p - i * a.out_w);
  out.valid = row < a.rows + PLANTED(4);
  return out;
}

// The bias of columns first + 8 b and the next.
template <int kBlocks>
DEVICE void load_bias(const MatmulArgs& a, int first, float2 (&sums)[kBlocks]) {
#pragma unroll
  for (int b = 0; b < kBlocks; b++) sums[b] = {0, 0};
  const bool geglu = a.activation == Activation::geglu;
  for (int s = 0; s < a.segment_count; s++) {
    const float* const bias = a.segments[s].bias;
    if (!bias) continue;
#pragma unroll
    for (int b = 0; b < kBlocks; b++) {
      const int column = first + 8 * b;
      if (column >= a.columns) continue;
      float2 add = {0, 0};
      if (!geglu && a.columns % 2 == 0) {
        add = *reinterpret_cast<const float2*>(bias + column);
      } else {
        // geglu: value and gate are neighbours in the weight, not in the bias.
        const int one = geglu ? column / 2 : column, two = geglu ? a.y_channels + one : one + 1;
        add.x = bias[one];
        if (column + 1 < a.columns) add.y = bias[two];
      }
      sums[b] = {sums[b].x + add.x, sums[b].y + add.y};
    }
  }
}

// Adds the row vector of a row's sample.
template <typename T, int kBlocks>
DEVICE void add_row_vector(const MatmulArgs& a, const OutputRow& row, int first,
                           float2 (&sums)[kBlocks]) {
  if (!a.has_row || !row.valid) return;
  const size_t from = size_t(row.sample) * a.row_stride + a.row_offset;
#pragma unroll
  for (int b = 0; b < kBlocks; b++) {
    const int column = first + 8 * b;
    if (column >= a.columns) continue;
    float2 add = {0, 0};
    if (a.row_pairs) {
      add = load_pair<T>(a.row, from + column);
    } else {
      add.x = load<T>(a.row, from + column);
      if (column + 1 < a.columns) add.y = load<T>(a.row, from + column + 1);
    }
    sums[b] = {sums[b].x + add.x, sums[b].y + add.y};
  }
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

// What a thread's sums of columns first + 8 b and the next begin with: `put(part, half, b,
// pair)` gets them for every row that row_at(part, half) names. Nothing, when another kernel
// finishes them.
template <typename T, int kParts, int kBlocks, typename RowAt, typename Put>
DEVICE void begin_sums(const MatmulArgs& a, int first, const RowAt& row_at, const Put& put) {
  float2 bias[kBlocks];
#pragma unroll
  for (int b = 0; b < kBlocks; b++) bias[b] = {0, 0};
  if (!a.apart()) load_bias(a, first, bias);
#pragma unroll
  for (int part = 0; part < kParts; part++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float2 sums[kBlocks];
#pragma unroll
      for (int b = 0; b < kBlocks; b++) sums[b] = bias[b];
      if (!a.apart()) add_row_vector<T>(a, row_at(part, half), first, sums);
#pragma unroll
      for (int b = 0; b < kBlocks; b++) put(part, half, b, sums[b]);
    }
}

// Lane q of a quad gets value q of each: v[p] becomes lane p's v[q].
template <typename V>
DEVICE void transpose_quad(V (&v)[4]) {
#pragma unroll
  for (int by = 1; by <= 2; by *= 2) {
    const bool upper = threadIdx.x & by;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int low = by == 1 ? 2 * i : i, high = low + by;
      const V got = __shfl_xor_sync(kAllLanes, upper ? v[low] : v[high], by);
      (upper ? v[low] : v[high]) = got;
    }
  }
}

// Finishes a row's blocks in accesses of 16 bytes.
template <typename T, int kBlocks, typename Sums>
DEVICE void write_wide(const MatmulArgs& a, const OutputRow& row, int first_column,
                       const Sums& sums) {
  constexpr int kGroups = (kBlocks + 3) / 4;  // of 32 columns
  const int q = int(threadIdx.x) & 3;
  uint4 residual[kGroups];
  const auto mine = [&](int group) {  // the lane's block of the group is one
    const int block = group * 4 + q;
    return row.valid && block < kBlocks && first_column + 8 * block < a.columns;
  };
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
    residual[g] = {0, 0, 0, 0};
    if (a.has_residual && mine(g))
      residual[g] =
          static_cast<const uint4*>(a.residual.data)[(row.at + first_column + 8 * (g * 4 + q)) / 8];
  }
#pragma unroll
  for (int g = 0; g < kGroups; g++) {
    uint32_t old[4] = {residual[g].x, residual[g].y, residual[g].z, residual[g].w}, out[4];
    if (a.has_residual) transpose_quad(old);
#pragma unroll
    for (int b = 0; b < 4; b++) {
      float2 v = 4 * g + b < kBlocks ? sums(4 * g + b) : float2{0, 0};
      if (a.activation == Activation::silu) v = {v.x * sigmoid(v.x), v.y * sigmoid(v.y)};
      const float2 add = unpack<T>(old[b]);
      out[b] = Number<T>::pack(a.scale * v.x + a.residual_scale * add.x,
                               a.scale * v.y + a.residual_scale * add.y);
    }
    transpose_quad(out);
    if (mine(g))
      static_cast<uint4*>(a.y.data)[(row.at + first_column + 8 * (g * 4 + q)) / 8] = {
          out[0], out[1], out[2], out[3]};
  }
}

// The same of geglu's: 32 columns are 16 values, four of which each lane writes.
template <typename T, int kBlocks, typename Sums>
DEVICE void write_wide_geglu(const MatmulArgs& a, const OutputRow& row, int first_column,
                             const Sums& sums) {
  const int q = int(threadIdx.x) & 3;
#pragma unroll
  for (int g = 0; g < (kBlocks + 3) / 4; g++) {
    float out[4];
#pragma unroll
    for (int b = 0; b < 4; b++) {
      const float2 v = 4 * g + b < kBlocks ? sums(4 * g + b) : float2{0, 0};
      out[b] = a.scale * v.x * activate(Activation::gelu, v.y);
    }
    transpose_quad(out);
    const int block = g * 4 + q, column = first_column + 8 * block;
    if (row.valid && block < kBlocks && column < a.columns)
      static_cast<uint2*>(a.y.data)[(row.at + column / 2) / 4] = {Number<T>::pack(out[0], out[1]),
                                                                  Number<T>::pack(out[2], out[3])};
  }
}

// Writes a row's `sums(block)`, pairs of columns first_column + 8 * block + 2 * (lane % 4):
// finished, or as fp32 sums for another kernel. All lanes of the warp call it.
template <typename T, int kBlocks, typename Sums>
DEVICE void write_row(const MatmulArgs& a, const OutputRow& row, int split, int first_column,
                      const Sums& sums) {
  if (!a.apart()) {
    if (a.activation == Activation::geglu)
      write_wide_geglu<T, kBlocks>(a, row, first_column, sums);
    else
      write_wide<T, kBlocks>(a, row, first_column, sums);
    return;
  }
  const int first = first_column + int(threadIdx.x) % 4 * 2;
  float* const partials =
      a.partials + (size_t(split) * a.phases * a.rows + row.partial) * a.columns;
#pragma unroll
  for (int b = 0; b < kBlocks; b++) {
    const int column = first + 8 * b;
    const float2 v = sums(b);
    if (!row.valid || column >= a.columns) continue;
    if (a.columns % 2 == 0) {
      *reinterpret_cast<float2*>(partials + column) = v;
    } else {
      partials[column] = v.x;
      if (column + 1 < a.columns) partials[column + 1] = v.y;
    }
  }
}

}  // namespace deepcache::cuda

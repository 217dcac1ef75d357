#pragma once

// Matrix products and convolutions: what all kernels of the family compute (matmul_sm80.cu,
// matmul_sm90.cu, matmul_e4m3_sm90.cu, matmul_narrow.cu).
//
//   y[m][n] = scale * act(sum_k A[m][k] W[n][k] + bias[n] + row[sample(m)][n])
//             + residual_scale * residual[m][n]
//
// A is never stored: it is the im2col view of one or two NHWC inputs (x ++ x2 along the channels),
// possibly enlarged x2 by nearest neighbours; a linear layer is a convolution of one tap. Sums are
// in fp32, activations and weights of 16 bits (T), inputs and outputs of the whole plan fp32.

#include "cuda/finish.h"
#include "cuda/kernels/common.h"
#include "cuda/packed_rows.h"
#include "cuda/tensor_map.h"

namespace deepcache::cuda {

constexpr int kMatmulChunk = 64;  // values of k that a kernel's stage holds
// Of e4m3, twice as many in as many bytes.
constexpr int matmul_chunk(bool fp8) { return fp8 ? 2 * kMatmulChunk : kMatmulChunk; }
template <typename Operand>
constexpr bool kIsFp8 = std::is_same_v<Operand, E4m3>;

// One input and its weight, k = taps * channels.
//
// Pixel (i, j) of the output reads, for tap (r, s), the place (i * stride + origin_y + r,
// j * stride + origin_x + s) of the enlarged input, zero outside of limit_h x limit_w; the input's
// own pixel is the place >> shift.
struct MatmulSegment {
  View x[2];
  int channels[2] = {};
  int in_h = 1, in_w = 1, limit_h = 1, limit_w = 1, shift = 0;
  int stride = 1, origin_y = 0, origin_x = 0, kernel_h = 1, kernel_w = 1;
  bool eights = false;    // both channel counts are multiples of 8, the views aligned to 16 bytes
  bool mappable = false;  // TMA can load the inputs: eights of type T that stay where they are

  // T [packed_rows(columns)][weight_stride], rows as packed_row() says, k innermost: tap, then
  // channel
  const void* weight = nullptr;
  int weight_stride = 0;
  int k = 0;
  const float* bias = nullptr;  // [columns]; geglu: of the values, then of the gates
  // Of products of e4m3: values are code * scale. weight_scales: [columns].
  const float *input_scales = nullptr, *weight_scales = nullptr;

  // Whether cp.async can copy the inputs.
  bool in_async() const { return eights && !x[0].fp32 && !x[1].fp32; }
};

struct MatmulArgs {
  // Summed one after the other. The second is a resnet's 1x1 shortcut.
  MatmulSegment segments[2];
  int segment_count = 1;

  // 4: a 3x3 convolution behind an enlargement x2 as four of 2x2 taps, one for each parity
  // (odd_y, odd_x) of the output's pixels. Phase p = 2 * odd_y + odd_x has its weight
  // packed_rows(columns) behind that of p - 1, and its taps' origins odd_y and odd_x further than
  // phase 0.
  int phases = 1;

  // Output: the pixels (i, j) of samples, `rows` in all, of each phase.
  int samples = 1, out_h = 1, out_w = 1, rows = 0, columns = 0;
  View y;
  int y_h = 1, y_w = 1, y_channels = 0;
  bool pairs = false;  // y and the residual can be accessed in pairs
  // The products' kernels can finish: y and the residual are eights of type T, and the activation
  // is none, SiLU or unscaled GEGLU (what large products have).
  bool wide = false;

  View row;
  bool has_row = false, has_residual = false;
  bool row_pairs = false;  // the row vector can be accessed in pairs
  int row_stride = 0;      // between samples; 0 when they share one
  int row_offset = 0;
  View residual;
  Activation activation = Activation::none;
  float scale = 1, residual_scale = 1;

  // A layer norm of x folded into the weight (runtime/folds.h). Of each row of x, `input_parts`
  // sums of values and of their squares; of each column, the sum of its weights, which are times
  // the inverse of *norm_scale.
  bool normed = false;
  const float2* input_sums = nullptr;
  int input_parts = 1;
  float epsilon = 0, inverse_channels = 1;
  const float *weight_sums = nullptr, *norm_scale = nullptr;
  // Of y, the same sums for the product behind, or null: one for each `part_columns` columns.
  float2* sums = nullptr;
  int part_columns = 1;

  // The weights are activations of an earlier kernel, not to be read before it has ended.
  bool computed_weights = false;
  // Inputs and weights are codes of e4m3 (runtime/e4m3.h), one segment of one input. input_scales
  // are one for each row of the product, or one for each sample.
  bool fp8 = false, scales_rows = false;

  int splits = 1;             // of k
  float* partials = nullptr;  // [splits][phases][rows][columns] of sums that are finished apart

  __host__ __device__ Finish finish() const {
    if (splits > 1 || !wide) return Finish::apart;
    if (activation == Activation::geglu) return normed ? Finish::geglu_normed : Finish::geglu;
    if (activation != Activation::none || scale != 1 || (has_residual && residual_scale != 1))
      return Finish::general;
    if (normed) return Finish::plain_normed;
    if (has_residual) return sums ? Finish::residual_summed : Finish::residual;
    return sums ? Finish::plain_summed : Finish::plain;
  }
  // Of a row.
  __host__ __device__ int parts() const { return (columns + part_columns - 1) / part_columns; }
  // Whether launch_finish() must follow the large tiles: it adds the splits and writes whatever y
  // is.
  __host__ __device__ bool apart() const { return finish() == Finish::apart; }
};

// What matmul_sm90.cu loads: boxes of output pixels, whose inputs TMA fetches tap by tap.
struct MatmulBoxes {
  int w = 1, h = 1, n = 1;             // pixels, at most a tile's rows in all
  int across = 1, down = 1, deep = 1;  // boxes along each axis
  TensorMap x[2][2], weight[2];        // by segment, by input
};

enum class MatmulTile : uint8_t {
  narrow_64x8,  // see is_narrow()
  sm80_64x64,
  sm80_128x128,
  sm80_128x160,
  sm90_64x160,
  sm90_128x128,
  sm90_128x160,
  sm90_256x160,
  sm90_128x256,
  // By pairs of blocks (matmul_sm90_pairs.cu).
  sm90_64x160_pairs,
  sm90_128x160_pairs,
  sm90_128x256_pairs,
};
inline bool is_sm90(MatmulTile tile) { return tile >= MatmulTile::sm90_64x160; }
inline bool has_pairs(MatmulTile tile) { return tile >= MatmulTile::sm90_64x160_pairs; }
// What each block of a pair computes.
inline MatmulTile unpaired(MatmulTile tile) {
  if (tile == MatmulTile::sm90_64x160_pairs) return MatmulTile::sm90_64x160;
  if (tile == MatmulTile::sm90_128x160_pairs) return MatmulTile::sm90_128x160;
  return tile == MatmulTile::sm90_128x256_pairs ? MatmulTile::sm90_128x256 : tile;
}

struct MatmulTileInfo {
  int rows, columns, threads;
  size_t shared_bytes;
  int part_columns = 0;  // that warps have of a row: MatmulArgs::part_columns
};
// Of products that are finished apart: a warp's.
constexpr int kPartApart = 64;
MatmulTileInfo matmul_sm80_tile(MatmulTile tile);
MatmulTileInfo matmul_sm90_tile(MatmulTile tile);
// Chunks of k of all segments: TMA loads those of one tap and input.
inline int matmul_sm90_chunks(const MatmulArgs& args) {
  const int chunk = matmul_chunk(args.fp8);
  int chunks = 0;
  for (int i = 0; i < args.segment_count; i++)
    for (const int channels : args.segments[i].channels)
      chunks +=
          args.segments[i].kernel_h * args.segments[i].kernel_w * ((channels + chunk - 1) / chunk);
  return chunks;
}
MatmulTileInfo matmul_narrow_tile();
inline MatmulTileInfo matmul_tile_info(MatmulTile tile) {
  if (tile == MatmulTile::narrow_64x8) return matmul_narrow_tile();
  return is_sm90(tile) ? matmul_sm90_tile(tile) : matmul_sm80_tile(tile);
}

// Whether the product is a convolution for the narrow tile, which then serves it best.
bool is_narrow(const MatmulArgs& args);
template <typename T>
void launch_matmul_narrow(const MatmulArgs& args, Stream stream);

template <typename T>
void launch_matmul_sm80(const MatmulArgs& args, MatmulTile tile, Stream stream);
// `blocks`: the most that run at once, which work through the tiles.
template <typename T>
void launch_matmul_sm90(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                        int blocks, Stream stream);
// The same by pairs.
template <typename T>
void launch_matmul_sm90_pairs(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                              int blocks, Stream stream);
// Whether the device in use has place for them.
bool matmul_sm90_pairs_fit();
// Without pairs, of codes (args.fp8).
template <typename T>
void launch_matmul_e4m3_sm90(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                             int blocks, Stream stream);
// For products that are finished apart: adds the parts of k and writes y.
template <typename T>
void launch_finish(const MatmulArgs& args, Stream stream);

}  // namespace deepcache::cuda

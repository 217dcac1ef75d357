#pragma once

// Matrix products and convolutions: see matmul.cu.

#include "cuda/kernels/common.h"

namespace deepcache::cuda {

// One product: `rows` pixels of a region of the output by `columns` rows of the packed weight, over
// k = taps * channels. A region is rows first_y, first_y + step_y, ... (out_h of them) of the
// output, columns likewise; most convolutions are one region, an upsampling one has four phases.
struct MatmulArgs {
  // Input. Pixel (i, j) of the region reads, for tap (r, s), the place (i * stride + origin_y + r,
  // j * stride + origin_x + s) of the enlarged input, zero outside of limit_h x limit_w; the
  // input's own pixel is the place >> shift.
  View x[2];
  int channels[2] = {};
  int in_h = 1, in_w = 1, limit_h = 1, limit_w = 1, shift = 0;
  int stride = 1, origin_y = 0, origin_x = 0, kernel_w = 1;
  bool eights = false;  // both channel counts are multiples of 8, the views aligned to 16 bytes

  const void* weight = nullptr;  // T [columns][weight_stride], k innermost: tap, then channel
  int weight_stride = 0;
  int rows = 0, columns = 0, k = 0;

  // Output.
  View y;
  int y_h = 1, y_w = 1, y_channels = 0;
  int out_h = 1, out_w = 1, first_y = 0, first_x = 0, step_y = 1, step_x = 1;
  bool pairs = false;  // y and the residual can be accessed in pairs

  const float* bias = nullptr;  // geglu: of the values, then of the gates
  View row;
  bool has_row = false, has_residual = false;
  int row_stride = 0;  // between samples; 0 when they share one
  int row_offset = 0;
  View residual;
  Activation activation = Activation::none;
  float scale = 1, residual_scale = 1;

  int splits = 1;             // of k
  float* partials = nullptr;  // [splits][rows][columns] when there are several
};

enum class MatmulTile : uint8_t { k64x64, k128x128, k128x160 };
struct MatmulTileInfo {
  int rows, columns, threads;
  size_t shared_bytes;
};
MatmulTileInfo matmul_tile_info(MatmulTile tile);
constexpr int kMatmulChunk = 64;  // of k

template <typename T>
void launch_matmul(const MatmulArgs& args, MatmulTile tile, Stream stream);

}  // namespace deepcache::cuda

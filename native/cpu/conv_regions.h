#pragma once

// A convolution as matrix products over regions of the output: within a region every pixel reads
// the input by the same taps. Most convolutions are one region. One behind a nearest x2 enlargement
// splits by the parity of the output's row and column into four (Recipe::upsample), plus the last
// row and column when the enlargement is cropped to an odd size.

#include <vector>

#include "runtime/ops.h"

namespace deepcache::cpu {

struct ConvTap {
  int dy, dx;      // added to the pixel's place in the input
  int weight_row;  // which tap of the packed weight
  float sign;
};

// Values of the weight's k range that lie side by side in it: part of one tap of one input.
struct ConvPiece {
  ConvTap tap;
  int source;  // 0: x, 1: x2
  int channel, length;
  int k;  // where it begins in its chunk
};

// A part of the k range that is multiplied at once.
struct ConvChunk {
  int weight_k;  // its first row in the packed weight
  int k;
  int first_piece, last_piece;  // [first, last) of the region's pieces
};

// Output rows first_y, first_y + step_y, ... (height of them), columns likewise.
struct ConvRegion {
  int first_y = 0, first_x = 0, step_y = 1, step_x = 1, height = 0, width = 0;
  // Pixel (i, j) of the region has its place in the (possibly enlarged) input at
  // (i * stride + origin_y, j * stride + origin_x), to which taps add; outside of
  // [0, limit_y) x [0, limit_x) there are zeros. The input's row is the place >> shift.
  int stride = 1, origin_y = 0, origin_x = 0, limit_y = 0, limit_x = 0, shift = 0;
  int input_height = 0, input_width = 0;
  std::vector<ConvPiece> pieces;
  std::vector<ConvChunk> chunks;
};

// `phases`: the weight is packed by Recipe::upsample. max_k: of a chunk. A tap's rows of the weight
// are a multiple of `depth`, as pieces lie in chunks: where channels end earlier, there is a gap
// behind them.
std::vector<ConvRegion> conv_regions(const Conv& op, bool phases, int max_k, int depth);

}  // namespace deepcache::cpu

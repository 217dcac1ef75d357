#pragma once

// How long matmul_sm90.cu takes, in cycles of the GPU: what tiles are chosen by (tiles.cu), and
// what the benchmark predicts with. A model that no GPU has confirmed yet. Its instruction counts
// are those of the machine code (scripts/kernels/machine-code.mjs), so that it says what a change
// of the kernel should bring.

#include <algorithm>
#include <cmath>

#include "finish.h"

namespace deepcache::cuda {

struct HopperProduct {
  int rows, columns;  // of its tile
  double tiles;       // of the output
  int chunks;         // of k, each 128 bytes deep: 64 values, or 128 of e4m3 in the same time
  int splits;         // of them
  Finish finish;
  double outputs;      // rows times columns of the whole product
  bool fp8 = false;    // codes of e4m3, whose sums get scales
  bool pairs = false;  // of blocks, each of which fetches half of the columns' weights for both
};

namespace hopper_time {

constexpr int kChunk = 64;
// Of a multiprocessor: multiply-adds that large products reach at the clock a full load leaves
// (790 TFLOP/s), and bytes that all of them together get from L2 (8.1 TB/s).
constexpr double kProductsPerCycle = 1705, kCacheBytes = 35;
constexpr double kPipeline = 0.93;  // of the tensor cores' time, that a filled ring keeps
// Of the producer, one thread whose instructions wait for each other: of a chunk, and until the
// first copy.
constexpr double kAloneCycles = 2.5, kProducer = 113, kFirst = 220;
// Of consumers, two warps to each scheduler. Of each warp and tile, beside the loop over k; and of
// each of a thread's sums.
constexpr double kSharedCycles = 2, kTile = 130;
constexpr double instructions_per_sum(Finish finish) {
  switch (finish) {
    case Finish::plain:
      return 4.0;
    case Finish::residual:
      return 6.0;
    case Finish::general:
      return 11.5;
    case Finish::geglu:
      return 8.9;
    case Finish::plain_summed:
      return 6.1;
    case Finish::residual_summed:
      return 8.5;
    case Finish::plain_normed:
      return 6.3;
    case Finish::geglu_normed:
      return 11.1;
    default:
      return 5.4;
  }
}
// More of a warp and tile: to keep sums of rows, and to fetch those of the rows to be normed and
// find their deviations, which runs while the last chunk is multiplied.
constexpr double kKeepSums = 120, kFetchNorms = 270;
// Of a pair, until both blocks have started.
constexpr double kMeet = 500;
// Waiting for the first chunk of all, for a tile's first products, and for the residual of a
// thread's rows but the first.
constexpr double kStart = 1000, kRefill = 200, kResidual = 500;
// A second kernel, and what it moves through L2 for each sum: written and read, fp32.
constexpr double kApart = 1500, kApartBytes = 8, kApartCacheBytes = 25;

// More for each sum of codes: its column's scale, and two factors.
constexpr double kScaled = 1.7;

// The share of the tensor cores' rate that a tile's main loop can reach. For 16 values of k a wgmma
// of 64 rows takes columns / 2 cycles; meanwhile the port of shared memory carries its operands,
// and what TMA writes for the block, at 128 bytes a cycle. Consumers share the columns of a tile of
// 64 rows.
inline double efficiency(int rows, int columns) {
  const double products = std::max(2, rows / 64);
  const double width = rows == 64 ? columns / 2 : columns;
  const double port = products * (64 + width) / 4 + double(rows + columns) / 4;
  return kPipeline * std::min(1.0, products * width / 2 / port);
}

inline double chunk_cycles(int rows, int columns, bool pairs) {
  const double fetched = rows + (pairs ? columns / 2 : columns);
  const double products = double(rows) * columns * kChunk / kProductsPerCycle;
  return std::max({products / efficiency(rows, columns), fetched * kChunk * 2 / kCacheBytes,
                   kProducer * kAloneCycles});
}

}  // namespace hopper_time

// Where a product's time goes.
struct HopperCycles {
  double start = 0;  // until a block's first products
  double loop = 0;   // over k
  double end = 0;    // of tiles, while no products run
  double apart = 0;  // the second kernel of a split k
  double total() const { return start + loop + end + apart; }
};

inline HopperCycles hopper_cycles(const HopperProduct& p, int multiprocessors) {
  using namespace hopper_time;
  const double waves = std::ceil(p.tiles * p.splits / multiprocessors);
  const double chunks = (p.chunks + p.splits - 1) / p.splits;
  const double sums = double(p.rows) * p.columns / 256;
  double tile =
      kSharedCycles * (kTile + (instructions_per_sum(p.finish) + (p.fp8 ? kScaled : 0)) * sums) +
      kRefill;
  if (p.finish == Finish::residual || p.finish == Finish::residual_summed ||
      p.finish == Finish::general)
    tile += kResidual * (p.rows < 256 ? 1 : 3);
  if (is_summed(p.finish)) tile += kSharedCycles * kKeepSums;
  if (is_normed(p.finish))
    tile += std::max(0.0, kSharedCycles * kFetchNorms - chunk_cycles(p.rows, p.columns, p.pairs));
  if (is_normed(p.finish) && p.rows == 256) tile += kResidual * 3;  // the rows' sums
  HopperCycles out;
  out.start = kStart + (p.pairs ? kMeet : 0) + kFirst * kAloneCycles;
  out.loop = waves * chunks * chunk_cycles(p.rows, p.columns, p.pairs);
  out.end = waves * tile;
  if (p.finish == Finish::apart)
    out.apart = kApart + p.outputs * kApartBytes * p.splits / (kApartCacheBytes * multiprocessors);
  return out;
}

}  // namespace deepcache::cuda

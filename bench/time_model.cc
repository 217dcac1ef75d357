#include "time_model.h"

#include <algorithm>
#include <cmath>

namespace deepcache::bench {
namespace {

constexpr double kBytes = 2;                  // of an activation
constexpr double kPipeline = 0.93;            // of the tensor cores' time a filled pipeline keeps
constexpr double kMemory = 0.85;              // of the memory's rate next to a product
constexpr double kAttention = 0.75;           // of the bound that flash attention reaches
constexpr double kExponentialsPerClock = 16;  // of a multiprocessor
constexpr double kCached = 40e6;              // bytes that stay in the L2 between two kernels
constexpr double kHalo = 100.0 / 64;          // of the pixels that a narrow convolution reads
constexpr int kChunk = 64;                    // of k

struct Tile {
  int rows, columns;
};
// matmul_sm90.cu's.
constexpr Tile kTiles[] = {{64, 160}, {128, 128}, {128, 160}, {256, 160}, {128, 256}};

// The share of the tensor cores' rate that a tile keeps. A wgmma of 64 rows by n columns takes n /
// 2 clocks; meanwhile the shared memory's port carries its operands, (64 + n) / 4, and what the
// copies bring in for it.
double efficiency(const Tile& tile) {
  const double product = tile.columns / 2.0;
  const double port =
      (64 + tile.columns) / 4.0 + (tile.rows + tile.columns) / 4.0 / (tile.rows / 64.0);
  return kPipeline * std::min(1.0, product / port);
}

bool is_narrow(const Op& op) {
  return op.kind == OpKind::conv && op.conv.y.shape.c <= 8 && op.conv.kernel_h == 3 &&
         op.conv.stride == 1;
}

// The best tile and split of k for an m x n product over k.
Estimate product(double m, double n, double k, double bytes, const Chip& chip) {
  Estimate best;
  const double rate = chip.flops / chip.multiprocessors;
  for (const Tile& tile : kTiles)
    for (const int splits : {1, 2, 3, 4, 5, 6, 8, 10, 12, 16}) {
      if (splits > 1 && k / kChunk < 4 * splits) continue;
      const double tiles = std::ceil(m / tile.rows) * std::ceil(n / tile.columns);
      const double waves = std::ceil(tiles * splits / chip.multiprocessors);
      const double depth = std::ceil(k / kChunk / splits) * kChunk;
      const double arithmetic =
          waves * 2 * tile.rows * tile.columns * depth / (rate * efficiency(tile));
      double time = std::max(arithmetic, bytes / (kMemory * chip.memory_bytes));
      // Partial sums are fp32, written and read once.
      if (splits > 1) time += m * n * 8 * splits / chip.cache_bytes + 0.5e-6;
      if (best.predicted > 0 && time >= best.predicted) continue;
      best.predicted = time;
      best.choice = std::to_string(tile.rows) + "x" + std::to_string(tile.columns) +
                    (splits > 1 ? "/" + std::to_string(splits) : "");
    }
  return best;
}

}  // namespace

Estimate estimate(const Plan& plan, const Op& op, const Chip& chip) {
  const OpCost cost = cost_of(plan, op, kBytes);
  Estimate out;
  if (is_narrow(op)) {
    // matmul_narrow.cu, whose 8x8 pixels come with their neighbours.
    out.predicted = std::max(kHalo * cost.bytes / (0.5 * chip.cache_bytes),
                             cost.bytes / (kMemory * chip.memory_bytes));
    out.choice = "64x8";
  } else if (op.kind == OpKind::conv) {
    const double rows = double(op.conv.y.shape.rows());
    const double columns = plan.weights()[op.conv.weight].out;
    out = product(rows, columns, cost.macs / rows / columns, cost.bytes, chip);
  } else if (op.kind == OpKind::attention) {
    // Scores and values by the tensor cores, whose k is a multiple of 16, and the exponentials.
    const double width = op.attention.head_width, padded = std::ceil(width / 16) * 16;
    const double arithmetic = 2 * cost.exponentials * (padded + width) / chip.flops;
    const double softmax =
        cost.exponentials / (kExponentialsPerClock * chip.multiprocessors * chip.clock);
    out.predicted =
        std::max(std::max(arithmetic, softmax) / kAttention, cost.bytes / chip.memory_bytes);
  } else {
    out.predicted = cost.bytes < kCached ? cost.bytes / (0.5 * chip.cache_bytes)
                                         : cost.bytes / (0.8 * chip.memory_bytes);
  }
  out.predicted += chip.launch;
  out.floor = std::max(2 * cost.macs / chip.flops, cost.bytes / chip.memory_bytes);
  return out;
}

Estimate estimate(const Plan& plan, const OpRanges& segments, const Chip& chip) {
  Estimate out;
  for (const OpRange& segment : segments)
    for (int i = segment.first; i < segment.last; i++) {
      const Estimate one = estimate(plan, plan.ops()[size_t(i)], chip);
      out.floor += one.floor;
      out.predicted += one.predicted;
    }
  return out;
}

}  // namespace deepcache::bench

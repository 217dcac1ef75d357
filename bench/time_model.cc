#include "time_model.h"

#include <algorithm>
#include <cmath>

#include "../native/cuda/hopper_time.h"
#include "../native/runtime/folds.h"

namespace deepcache::bench {
namespace {

constexpr double kBytes = 2;          // of an activation
constexpr double kMemory = 0.85;      // of the memory's rate next to a product
constexpr double kCached = 40e6;      // bytes that stay in the L2 between two kernels
constexpr double kHalo = 100.0 / 64;  // of the pixels that a narrow convolution reads
constexpr int kChunk = 64;            // of k, in values of 16 bits

struct Tile {
  int rows, columns;
  bool pairs = false;
};
// matmul_sm90.cu's, and matmul_sm90_pairs.cu's.
constexpr Tile kTiles[] = {{64, 160},  {128, 128},      {128, 160},       {256, 160},
                           {128, 256}, {64, 160, true}, {128, 160, true}, {128, 256, true}};

bool is_narrow(const Op& op) {
  return op.kind == OpKind::conv && op.conv.y.shape.c <= 8 && op.conv.kernel_h == 3 &&
         op.conv.stride == 1;
}

// The best tile and split of k for an m x n product.
Estimate product(double m, double n, int chunks, double bytes, cuda::Finish finish,
                 const Chip& chip, bool fp8 = false) {
  Estimate best;
  for (const Tile& tile : kTiles)
    for (const int splits : {1, 2, 3, 4, 5, 6, 8, 10, 12, 16}) {
      const cuda::Finish one = splits > 1 ? cuda::Finish::apart : finish;
      const double down = std::ceil(m / tile.rows);
      if ((splits > 1 && chunks < 4 * splits) || (tile.pairs && (fp8 || std::fmod(down, 2) != 0)))
        continue;
      const double tiles = down * std::ceil(n / tile.columns);
      const cuda::HopperProduct product{tile.rows, tile.columns, tiles, chunks,    splits,
                                        one,       m * n,        fp8,   tile.pairs};
      const cuda::HopperCycles cycles = cuda::hopper_cycles(product, chip.multiprocessors);
      const double computed = cycles.total() / chip.clock;
      const double time = std::max(computed, bytes / (kMemory * chip.memory_bytes));
      if (best.predicted > 0 && time >= best.predicted) continue;
      best.predicted = time;
      best.parts.starts = cycles.start / chip.clock;
      best.parts.loops = cycles.loop / chip.clock + (time - computed);  // waiting for memory, too
      best.parts.ends = cycles.end / chip.clock;
      best.parts.apart = cycles.apart / chip.clock;
      best.choice = std::to_string(tile.rows) + "x" + std::to_string(tile.columns) +
                    (tile.pairs ? " pairs" : "") + (splits > 1 ? "/" + std::to_string(splits) : "");
    }
  return best;
}

// Chunks of k: of one tap, and of one input.
int chunks_of(const Conv& op, double k, int chunk) {
  const auto parts = [&](const Tensor& x) { return x ? std::ceil(double(x.shape.c) / chunk) : 0; };
  const double taps = k / (op.x.shape.c + (op.x2 ? op.x2.shape.c : 0));
  return int(taps * (parts(op.x) + parts(op.x2)));
}

// round_input.cu, whose input the op before has just written: rows are read twice, the second time
// from the cache next to the multiprocessor, samples by two kernels.
double rounding(const Conv& op, const Chip& chip) {
  const double values = double(op.x.shape.count()), reads = op.fp8_rows() ? 1 : 2;
  const double bytes = values * (reads * kBytes + 1);
  return reads * chip.launch + (values * kBytes < kCached ? bytes / (0.5 * chip.cache_bytes)
                                                          : bytes / (0.8 * chip.memory_bytes));
}

// Whether a product has the layer norm folded into it, or wants sums of the rows that `op` writes
// (runtime/folds.h).
bool serves_fold(const Plan& plan, const Op& op, bool fp8) {
  return std::ranges::any_of(plan.ops(), [&](const Op& other) {
    if (other.kind != OpKind::conv || !is_folded(other.conv, plan.weights(), fp8)) return false;
    const int of = op.kind == OpKind::conv ? other.conv.row_writer : other.conv.layer_norm;
    return of >= 0 && plan.ops()[size_t(of)].output().id == op.output().id;
  });
}

cuda::Finish finish_of(const Plan& plan, const Op& op, bool fp8) {
  const bool geglu = op.conv.activation == Activation::geglu;
  if (is_folded(op.conv, plan.weights(), fp8))
    return geglu ? cuda::Finish::geglu_normed : cuda::Finish::plain_normed;
  if (geglu) return cuda::Finish::geglu;
  const bool is_summed = op.conv.sums_rows && serves_fold(plan, op, fp8);
  if (op.conv.residual) return is_summed ? cuda::Finish::residual_summed : cuda::Finish::residual;
  return is_summed ? cuda::Finish::plain_summed : cuda::Finish::plain;
}

// row_sums.cu, before a product with a folded norm whose input nobody has summed.
double row_sums(const Conv& op, const Chip& chip) {
  return chip.launch + double(op.x.shape.count()) * kBytes / (0.5 * chip.cache_bytes);
}

// matmul_sm80.cu, whose threads gather the values of inputs that bulk copies cannot fetch; or
// matmul_few_channels.cu, which pads them to 8 channels first: then k grows, and a chunk takes its
// products at half of Hopper's rate.
double few_channels(double m, double n, double k, const Op& op, const Chip& chip) {
  constexpr double kGathered = 14000;  // cycles: 3,500 instructions of a warp, four a scheduler
  constexpr double kCopied = 128 * 160 * kChunk / 1024.0 / 0.9, kTile = 1900;
  const double tiles = std::ceil(m / 128) * std::ceil(n / 160);
  const double waves = std::ceil(tiles / chip.multiprocessors);
  const double channels = op.conv.x.shape.c;
  if (op.conv.kernel_h * op.conv.kernel_w == 1 || op.conv.x2 || channels > 16)
    return waves * std::ceil(k / kChunk) * kGathered / chip.clock;
  const double padded = std::ceil(channels / 8) * 8,
               chunks = std::ceil(k * padded / channels / kChunk);
  const double pixels = double(op.conv.x.shape.rows());
  return waves * (chunks * kCopied + kTile) / chip.clock + chip.launch +
         pixels * (4 * channels + kBytes * padded) / (0.5 * chip.cache_bytes);
}

// Tiles of attention_sm90.cu: columns of a head as wgmma takes them, keys, and what the loop over
// tiles of keys issues for each (scripts/kernels/machine-code.mjs): of many keys without masks and
// without a unit's end, of few keys with both.
struct AttentionTile {
  int columns, keys, instructions;
  double exposed;
};
// Of the shorter of products and the rest, the share that does not run under the longer one. 0.65
// is what FlashAttention-3's published rates at widths 64 and 128 come to. Where values are
// multiplied before the softmax begins and not under it, more.
constexpr double kOverlaps = 0.65, kInTurn = 0.9;
constexpr AttentionTile kAttentionTiles[] = {{40, 128, 504, kOverlaps},
                                             {64, 128, 495, kOverlaps},
                                             {80, 128, 529, kOverlaps},
                                             {128, 128, 599, kInTurn},
                                             {160, 64, 471, kOverlaps}};
constexpr AttentionTile kFewKeys[] = {{40, 80, 491, kOverlaps},
                                      {64, 80, 511, kOverlaps},
                                      {80, 80, 543, kOverlaps},
                                      {128, 80, 635, kOverlaps},
                                      {160, 80, 685, kOverlaps}};
constexpr int kMostFewKeys = 80, kQueries = 128;
// Cycles: of a block's first loads; of a unit's end, when it is not in the loop, and of what it
// waits for; of an exponential of a warp.
constexpr double kAttentionStart = 2500, kUnit = 500, kUnitWaits = 200, kExponential = 8;

// attention_products.cu: parts of the queries, whose scores the cache holds. Probabilities are 16
// bits; what the scores move is in the estimate of sums that another kernel finishes.
double wide_attention(const Attention& op, const Chip& chip) {
  constexpr auto kProbable = cuda::Finish::general;  // they are scaled
  const double width = op.head_width, keys = op.key.length;
  const double queries = std::min<double>(
      op.query.length,
      std::max(128.0, std::floor(chip.multiprocessors * 65536 / keys / 128) * 128));
  const double probabilities = queries * keys * kBytes * 2 / (0.5 * chip.cache_bytes);
  const auto chunks = [](double k) { return int(std::ceil(k / kChunk)); };
  const double part =
      product(queries, keys, chunks(width), 0, cuda::Finish::apart, chip).predicted +
      product(queries, width, chunks(keys), 0, kProbable, chip).predicted + probabilities +
      3 * chip.launch;
  return double(op.outer) * op.inner * op.heads *
         (std::ceil(op.query.length / queries) * part + chip.launch);
}

double attention(const Attention& op, const Chip& chip) {
  const double width = op.head_width, keys = op.key.length;
  if (width > 160) return wide_attention(op, chip);
  const auto& tiles = keys <= kMostFewKeys ? kFewKeys : kAttentionTiles;
  const AttentionTile* tile = tiles;
  while (tile->columns < width) tile++;
  const double columns = tile->columns, padded = std::ceil(columns / 16) * 16;
  const double pairs = double(kQueries) * tile->keys;
  const double products = pairs * (padded + columns) / cuda::hopper_time::kProductsPerCycle;
  // Two warps to each scheduler; narrow heads leave a sixteenth of the exponentials to multipliers.
  const double exponentials = tile->keys / 2 * (columns <= 48 ? 15.0 / 16 : 1) + 2;
  const double rest = 2 * std::max<double>(tile->instructions, kExponential * exponentials);
  const double one = std::max(products, rest) + tile->exposed * std::min(products, rest);
  const double units =
      double(op.outer) * op.inner * op.heads * std::ceil(double(op.query.length) / kQueries);
  const double cycles =
      std::ceil(keys / tile->keys) * one + kUnitWaits + (keys <= kMostFewKeys ? 0 : kUnit);
  return (kAttentionStart + std::ceil(units / chip.multiprocessors) * cycles) / chip.clock;
}

}  // namespace

TimeParts& TimeParts::operator+=(const TimeParts& other) {
  launches += other.launches;
  starts += other.starts;
  loops += other.loops;
  ends += other.ends;
  apart += other.apart;
  rest += other.rest;
  return *this;
}

Estimate estimate(const Plan& plan, const Op& op, const Chip& chip, bool fp8) {
  if (op.kind == OpKind::layer_norm && serves_fold(plan, op, fp8)) return {};  // no launch
  OpCost cost = cost_of(plan, op, kBytes);
  Estimate out;
  double flops = chip.flops;
  if (is_narrow(op)) {
    // matmul_narrow.cu, whose 8x8 pixels come with their neighbours.
    out.predicted = std::max(kHalo * cost.bytes / (0.5 * chip.cache_bytes),
                             cost.bytes / (kMemory * chip.memory_bytes));
    out.choice = "64x8";
  } else if (op.kind == OpKind::conv) {
    const double rows = double(op.conv.y.shape.rows());
    const double columns = plan.weights()[op.conv.weight].out;
    const double k = cost.macs / rows / columns;
    const cuda::Finish finish = finish_of(plan, op, fp8);
    if (op.conv.x.shape.c % 8 != 0) {
      out.predicted = few_channels(rows, columns, k, op, chip);
    } else if (fp8 && plan.weights()[op.conv.weight].fp8) {
      flops *= 2;
      cost.bytes -= double(op.conv.x.shape.count()) + cost.weight_bytes / 2;
      out =
          product(rows, columns, chunks_of(op.conv, k, 2 * kChunk), cost.bytes, finish, chip, true);
      out.predicted += rounding(op.conv, chip);
    } else {
      out = product(rows, columns, chunks_of(op.conv, k, kChunk), cost.bytes, finish, chip);
      if (is_folded(op.conv, plan.weights(), fp8) && op.conv.row_writer < 0)
        out.predicted += row_sums(op.conv, chip);
    }
  } else if (op.kind == OpKind::attention) {
    out.predicted = std::max(attention(op.attention, chip), cost.bytes / chip.memory_bytes);
  } else {
    out.predicted = cost.bytes < kCached ? cost.bytes / (0.5 * chip.cache_bytes)
                                         : cost.bytes / (0.8 * chip.memory_bytes);
  }
  const TimeParts& parts = out.parts;
  out.parts.rest = out.predicted - (parts.starts + parts.loops + parts.ends + parts.apart);
  out.parts.launches = chip.launch;
  out.predicted += chip.launch;
  out.floor = std::max(2 * cost.macs / flops, cost.bytes / chip.memory_bytes);
  return out;
}

Estimate estimate(const Plan& plan, const OpRanges& segments, const Chip& chip, bool fp8) {
  Estimate out;
  for (const OpRange& segment : segments)
    for (int i = segment.first; i < segment.last; i++) {
      const Estimate one = estimate(plan, plan.ops()[size_t(i)], chip, fp8);
      out.floor += one.floor;
      out.predicted += one.predicted;
      out.parts += one.parts;
    }
  return out;
}

}  // namespace deepcache::bench

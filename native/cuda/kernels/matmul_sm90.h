#pragma once

// What the parts of matmul_sm90.cu's kernel share: tiles, the ring of stages, and what a block
// computes next. How they work together is said there; in matmul_e4m3_sm90.cu they do the same.

#include "cuda/kernels/divisor.h"
#include "cuda/kernels/matmul_epilogue.h"
#include "cuda/kernels/ring.h"

namespace deepcache::cuda::matmul_sm90 {

constexpr int kConsumers = 2, kThreads = (1 + kConsumers) * 128;

// The consumers share a tile's rows, or the columns of one of 64 rows.
template <int kRows_, int kColumns_, int kStages_>
struct Tile {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kStages = kStages_;
  static constexpr int kPairs = 0;
  static constexpr bool kSideBySide = kRows == 64;
  static constexpr int kWidth = kSideBySide ? kColumns / 2 : kColumns;  // columns of a consumer
  static constexpr int kParts = kSideBySide ? 1 : kRows / 128;          // of 64 rows, of a consumer
  static constexpr int kRowBytes = kMatmulChunk * 2;
  static constexpr int kBytesA = kRows * kRowBytes, kBytesB = kColumns * kRowBytes;
  // Of a consumer, for this tile and the next: what each column's sums are multiplied by, codes of
  // e4m3 alone, and what is added.
  static constexpr int kBytesColumns = 4 * kWidth * sizeof(float);
  static constexpr size_t kSharedBytes =
      kStages * (kBytesA + kBytesB + 2 * sizeof(uint64_t)) + kConsumers * kBytesColumns;
  static_assert(kBytesA % 1024 == 0 && kWidth * kRowBytes % 1024 == 0);
  static_assert(kSharedBytes <= 227 * 1024);
};

// Of a pair of blocks, a cluster of two whose tiles lie one above the other: each fetches half of
// the weights, for both.
template <typename Tile>
struct Pairs : Tile {
  static constexpr int kPairs = 1;
};

template <typename Tile>
struct Shared {
  DEVICE explicit Shared(unsigned char* base)
      : a(base),
        b(a + Tile::kStages * Tile::kBytesA),
        columns(reinterpret_cast<float*>(b + Tile::kStages * Tile::kBytesB)),
        full(reinterpret_cast<uint64_t*>(columns +
                                         kConsumers * Tile::kBytesColumns / sizeof(float))),
        empty(full + Tile::kStages) {}

  DEVICE void initialise() const {
    for (int i = 0; i < Tile::kStages; i++) {
      mbarrier_init(&full[i], 1);
      mbarrier_init(&empty[i], (PLANTED(20) ? 4 : 8) << Tile::kPairs);  // the consumers' warps
    }
    mbarrier_init_fence();
  }

  unsigned char *a, *b;  // stages
  float* columns;
  uint64_t *full, *empty;
};

// All that there is to compute, in units that a block takes one by one.
struct Schedule {
  int items = 0;
  Divisor columns, splits, across, down, deep;  // tiles along each axis
  Divisor box_w, box_h;
  int chunks = 0;  // of k, of a split's part
  int longer = 0;  // parts that have one more
};

// The numbers of a block's items; both blocks of a pair have the same.
template <typename Tile>
DEVICE int first_item() {
  return int(blockIdx.x) >> Tile::kPairs;
}
template <typename Tile>
DEVICE int item_step() {
  return int(gridDim.x) >> Tile::kPairs;
}
// Which block of a pair this is.
template <typename Tile>
DEVICE int rank_in_pair() {
  return int(blockIdx.x) & Tile::kPairs;
}

// What a block computes next: a box of a phase's pixels by a tile's columns, over chunks
// [first, first + count) of k.
struct Work {
  int phase, split, column, x, y, sample, first, count;
};

// Neighbours share their pixels, and so what they read.
template <typename Tile>
DEVICE Work find_work(const MatmulBoxes& boxes, const Schedule& all, int item) {
  Work work;
  work.column = all.columns.take(item) * Tile::kColumns;
  work.split = all.splits.take(item);
  item = item << Tile::kPairs | rank_in_pair<Tile>();
  work.x = all.across.take(item) * boxes.w;
  work.y = all.down.take(item) * boxes.h;
  work.sample = all.deep.take(item) * boxes.n;
  work.phase = item;
  const bool longer = work.split < all.longer;
  work.first = work.split * all.chunks + (longer ? work.split : all.longer);
  work.count = all.chunks + longer;
  return work;
}

}  // namespace deepcache::cuda::matmul_sm90

#pragma once

// The parts of attention_sm90.cu's kernel: what lies in shared memory, the warp that fills it, and
// the warpgroups that compute. How they work together is said there.

#include "cuda/kernels/attention.h"

namespace deepcache::cuda::attention_sm90 {

constexpr int kQueries = 128, kStages = 2, kThreads = 384;
// Named barriers: a consumer's own, and its turn to start products.
constexpr int kOwn = 1, kTurns = 3;
constexpr int kRowBytes = 128;  // of a panel: 64 channels

// kColumns: a head's, as wgmma takes them; kKeys: in a tile; kSums: columns of the product with the
// values, of which those behind the head's are zeros; kOverlaps: that product runs beside the
// softmax of the next scores, for which not all tiles have the registers.
template <int kColumns_, int kKeys_, int kSums_, bool kOverlaps_>
struct Sm90Tile {
  static constexpr int kColumns = kColumns_, kKeys = kKeys_, kSums = kSums_;
  static constexpr bool kOverlaps = kOverlaps_;
  static constexpr int kPanels = (kColumns + 63) / 64;
  static constexpr int kPanelQ = kQueries * kRowBytes, kPanelK = kKeys * kRowBytes;
  static constexpr int kBytesQ = kPanels * kPanelQ, kBytesK = kPanels * kPanelK;
  static constexpr int kBarriers = 1 + 4 * kStages;
  static constexpr size_t kSharedBytes = kBytesQ + 2 * kStages * kBytesK + kBarriers * 8;
};

template <typename Tile>
struct Sm90Shared {
  DEVICE explicit Sm90Shared(unsigned char* base)
      : q(base),
        k(q + Tile::kBytesQ),
        v(k + kStages * Tile::kBytesK),
        q_full(reinterpret_cast<uint64_t*>(v + kStages * Tile::kBytesK)),
        k_full(q_full + 1),
        k_empty(k_full + kStages),
        v_full(k_empty + kStages),
        v_empty(v_full + kStages) {}

  DEVICE void initialise() const {
    mbarrier_init(q_full, 1);
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(&k_full[i], 1);
      mbarrier_init(&v_full[i], 1);
      mbarrier_init(&k_empty[i], 8);  // the consumers' warps
      mbarrier_init(&v_empty[i], 8);
    }
    mbarrier_init_fence();
  }

  unsigned char *q, *k, *v;  // panels; of k and v in stages
  uint64_t *q_full, *k_full, *k_empty, *v_full, *v_empty;
};

// What a kernel needs beside the tensors' maps.
struct Sm90Args {
  int keys, heads, query_blocks;
  int q_divisor, k_divisor, v_divisor;  // from a sequence to the map's
  float factor;                         // of scores, for exp2
};

// Which stage and phase of the ring the tile is in.
DEVICE int stage_of(int tile) { return tile % kStages; }
DEVICE int parity_of(int tile) { return tile / kStages & 1; }

// 2^x for x <= 0 by the units that multiply and add, to 8e-5 of it. (The idea is
// FlashAttention-4's; the cubic has the least largest error.) 2^x = 2^whole 2^part with |part| <=
// 1/2: adding 1.5 2^23 rounds, and leaves the whole in the low bits.
DEVICE float polynomial_exp2(float x) {
  constexpr float kRound = 12582912.0f;
  x = fmaxf(x, -126.0f);
  const float rounded = x + kRound, part = x - (rounded - kRound);
  float y = 0.055171662f;
  y = y * part + 0.24261112f;
  y = y * part + 0.69326099f;
  y = y * part + 0.99992807f;
  return __int_as_float(__float_as_int(y) + int(unsigned(__float_as_int(rounded)) << 23));
}

template <typename Tile>
DEVICE void produce(const Sm90Shared<Tile>& shared, const TensorMap* q, const TensorMap* k,
                    const TensorMap* v, const Sm90Args& args, int first_query, int head,
                    int sequence) {
  wait_for_previous_grid();
  const auto load = [&](unsigned char* to, int panel_bytes, const TensorMap* map, uint64_t* barrier,
                        int row, int map_sequence) {
    mbarrier_arrive_expect(barrier, PLANTED(41) ? panel_bytes / 2 : Tile::kPanels * panel_bytes);
#pragma unroll
    for (int i = 0; i < Tile::kPanels; i++)
      tma_load_4d(to + i * panel_bytes, map, barrier, i * 64, head, row, map_sequence);
  };
  load(shared.q, Tile::kPanelQ, q, shared.q_full, first_query, sequence / args.q_divisor);
  const int tiles = (args.keys + Tile::kKeys - 1) / Tile::kKeys;
  const int k_sequence = sequence / args.k_divisor, v_sequence = sequence / args.v_divisor;
  for (int tile = 0; tile < tiles; tile++) {
    const int stage = stage_of(tile), row = tile * Tile::kKeys;
    const int parity = PLANTED(42) ? parity_of(tile) : parity_of(tile) ^ 1;
    mbarrier_wait(&shared.k_empty[stage], parity);
    load(shared.k + stage * Tile::kBytesK, Tile::kPanelK, k, &shared.k_full[stage], row,
         k_sequence);
    mbarrier_wait(&shared.v_empty[stage], parity);
    load(shared.v + stage * Tile::kBytesK, Tile::kPanelK, v, &shared.v_full[stage], row,
         v_sequence);
  }
  let_next_grid_start();
}

// A warpgroup's 64 queries. A thread holds values of two rows, lane / 4 and lane / 4 + 8 of its
// warp's 16: `half` says which.
template <typename T, typename Tile>
class Sm90Consumer {
 public:
  DEVICE Sm90Consumer(const Sm90Shared<Tile>& shared, const Sm90Args& args)
      : shared_(shared),
        args_(args),
        group_(int(threadIdx.x) / 128 - 1),
        leads_(threadIdx.x % 128 == 0),
        lane_(threadIdx.x & 31) {}

  DEVICE void run() {
    const int tiles = (args_.keys + kKeys - 1) / kKeys;
    mbarrier_wait(shared_.q_full, 0);
    start_scores(0);
    finish<0>(scores_, &shared_.k_empty[0]);
    soften(0);
    keep_probabilities();
    if (group_ == 1) named_barrier_arrive(kTurns, 256);
    for (int tile = 1; tile < tiles; tile++) {
      named_barrier(kTurns + group_, 256);
      start_scores(tile);
      start_sums(tile - 1);
      named_barrier_arrive(kTurns + (group_ ^ 1), 256);
      finish<1>(scores_, &shared_.k_empty[stage_of(tile)]);
      soften(tile);
      if (PLANTED(43)) keep_probabilities();
      if (Tile::kOverlaps) wgmma_hold(total_[0] + total_[1]);
      finish<0>(sums_, &shared_.v_empty[stage_of(tile - 1)]);
      if (!PLANTED(43)) keep_probabilities();
#pragma unroll
      for (int i = 0; i < kSums / 2; i++) sums_[i] *= shrink_[i / 2 % 2];
    }
    start_sums(tiles - 1);
    finish<0>(sums_, &shared_.v_empty[stage_of(tiles - 1)]);
  }

  // To the tensor, through the warpgroup's part of the queries' shared memory.
  DEVICE void store(const TensorMap* y, int first_query, int head, int sequence) {
    unsigned char* const panels = shared_.q + group_ * 64 * kRowBytes;
    const int row = int(threadIdx.x) / 32 % 4 * 16 + lane_ / 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float inverse = 1.0f / quad_sum(total_[half]);
#pragma unroll
      for (int j = 0; j < kColumns / 8; j++) {
        const int chunk = j % 8 ^ row % 8;
        unsigned char* const to = panels + j / 8 * Tile::kPanelQ + (row + half * 8) * kRowBytes +
                                  chunk * 16 + lane_ % 4 * 4;
        *reinterpret_cast<uint32_t*>(to) = Number<T>::pack(sums_[4 * j + 2 * half] * inverse,
                                                           sums_[4 * j + 2 * half + 1] * inverse);
      }
    }
    if (!PLANTED(44)) fence_async_proxy();
    if (!PLANTED(45)) named_barrier(kOwn + group_, 128);
    if (!leads_) return;
#pragma unroll
    for (int i = 0; i < Tile::kPanels; i++)
      tma_store_4d(y, panels + i * Tile::kPanelQ, i * 64, head, first_query + group_ * 64,
                   sequence);
    tma_store_commit();
    tma_store_wait_read();
  }

 private:
  static constexpr int kColumns = Tile::kColumns, kKeys = Tile::kKeys, kSums = Tile::kSums;

  // scores = q k^T, left in flight.
  DEVICE void start_scores(int tile) {
    const int stage = stage_of(tile);
    const unsigned char* const q = shared_.q + group_ * 64 * kRowBytes;
    const unsigned char* const k = shared_.k + stage * Tile::kBytesK;
    if (!PLANTED(46)) mbarrier_wait(&shared_.k_full[stage], parity_of(tile));
    wgmma_pin(scores_);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < (kColumns + 15) / 16; step++) {
      const int panel = step / 4, column = step % 4 * 32;
      wgmma<T, kKeys>(scores_, wgmma_descriptor(q + panel * Tile::kPanelQ + column, 16, 1024),
                      wgmma_descriptor(k + panel * Tile::kPanelK + column, 16, 1024), step > 0);
    }
    wgmma_commit();
  }

  // sums += probabilities v, left in flight. Rows of v lie along k of this product.
  DEVICE void start_sums(int tile) {
    const int stage = stage_of(tile);
    const unsigned char* const v = shared_.v + stage * Tile::kBytesK;
    mbarrier_wait(&shared_.v_full[stage], parity_of(tile));
    wgmma_pin(sums_);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < kKeys / 16; step++)
      wgmma<T, kSums, 1>(sums_, probabilities_[step],
                         wgmma_descriptor(v + step * 16 * kRowBytes, Tile::kPanelK, 1024), true);
    wgmma_commit();
  }

  // Waits for a product, and gives the stage it read back: each warp for itself, since it waits for
  // its own part of the product alone.
  template <int kKeep, int kCount>
  DEVICE void finish(float (&results)[kCount], uint64_t* empty) {
    if (PLANTED(47) && lane_ == 0) mbarrier_arrive(empty);
    if (!PLANTED(48) || kKeep) wgmma_wait<kKeep>();
    wgmma_pin(results);
    if (!PLANTED(47) && lane_ == 0) mbarrier_arrive(empty);
  }

  // From scores to probabilities times exp2(-top), and by how much earlier sums shrink.
  DEVICE void soften(int tile) {
    const int first = tile * kKeys + lane_ % 4 * 2;
    if (!PLANTED(49) && (tile + 1) * kKeys > args_.keys)
#pragma unroll
      for (int i = 0; i < kKeys / 2; i++)
        if (first + i / 4 * 8 + i % 2 >= args_.keys) scores_[i] = kMasked;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float most = top_[half];
#pragma unroll
      for (int i = 0; i < kKeys / 8; i++)
        most = fmaxf(most, fmaxf(scores_[4 * i + 2 * half], scores_[4 * i + 2 * half + 1]));
      most = quad_max(most);
      shrink_[half] = fast_exp2((top_[half] - most) * args_.factor);
      top_[half] = most;
      const float offset = most * args_.factor;
      float sum = 0;
#pragma unroll
      for (int i = 0; i < kKeys / 4; i++) {
        float& score = scores_[i / 2 * 4 + 2 * half + i % 2];
        const float power = score * args_.factor - offset;
        score = kColumns <= 48 && i % 4 == 3 ? polynomial_exp2(power) : fast_exp2(power);
        sum += score;
      }
      total_[half] = total_[half] * shrink_[half] + sum;
    }
  }

  // An accumulator's layout is that of the next product's operand.
  DEVICE void keep_probabilities() {
#pragma unroll
    for (int i = 0; i < kKeys / 4; i++)
      probabilities_[i / 4][i % 4] = Number<T>::pack(scores_[2 * i], scores_[2 * i + 1]);
  }

  const Sm90Shared<Tile>& shared_;
  const Sm90Args& args_;
  const int group_;
  const bool leads_;
  const int lane_;
  float scores_[kKeys / 2] = {}, sums_[kSums / 2] = {};
  uint32_t probabilities_[kKeys / 16][4];
  float top_[2] = {kMasked, kMasked}, total_[2] = {}, shrink_[2];
};

}  // namespace deepcache::cuda::attention_sm90

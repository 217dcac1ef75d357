#pragma once

// The parts of attention_sm90.cu's kernel: what lies in shared memory, the warp that fills it, and
// the warpgroups that compute. How they work together is said there.

#include "cuda/kernels/attention.h"
#include "cuda/kernels/divisor.h"
#include "cuda/kernels/ring.h"

namespace deepcache::cuda::attention_sm90 {

constexpr int kQueries = 128, kStages = 2, kThreads = 384;
constexpr int kFewKeys = 80;  // of a prompt, 77: one tile
// Named barriers: a consumer's own, and its turn to start products.
constexpr int kOwn = 1, kTurns = 3;
constexpr int kRowBytes = 128;  // of a panel: 64 channels

// kColumns: a head's, as wgmma takes them; kKeys: in a tile; kSums: columns of the product with the
// values, of which those behind the head's are zeros; kOverlaps: that product runs beside the
// softmax of the next scores, for which not all tiles have the registers.
template <int kColumns_, int kKeys_, int kSums_, bool kOverlaps_>
struct Sm90Tile {
  static constexpr int kColumns = kColumns_, kKeys = kKeys_, kSums = kSums_;
  static constexpr bool kOverlaps = kOverlaps_, kOneTile = kKeys == kFewKeys;
  static constexpr int kPanels = (kColumns + 63) / 64;
  static constexpr int kPanelQ = kQueries * kRowBytes, kPanelK = kKeys * kRowBytes;
  static constexpr int kBytesQ = kPanels * kPanelQ, kBytesK = kPanels * kPanelK;
  // Queries of this unit and the next, where there is room.
  static constexpr int kQueryStages = kPanels > 2 ? 1 : 2;
  static constexpr int kBarriers = 2 * kQueryStages + 4 * kStages;
  static constexpr size_t kSharedBytes =
      (kQueryStages + 1) * kBytesQ + 2 * kStages * kBytesK + kBarriers * 8;
  static_assert(kSharedBytes <= 227 * 1024);
};

template <typename Tile>
struct Sm90Shared {
  DEVICE explicit Sm90Shared(unsigned char* base)
      : q(base),
        y(q + Tile::kQueryStages * Tile::kBytesQ),
        k(y + Tile::kBytesQ),
        v(k + kStages * Tile::kBytesK),
        q_full(reinterpret_cast<uint64_t*>(v + kStages * Tile::kBytesK)),
        q_empty(q_full + Tile::kQueryStages),
        k_full(q_empty + Tile::kQueryStages),
        k_empty(k_full + kStages),
        v_full(k_empty + kStages),
        v_empty(v_full + kStages) {}

  DEVICE void initialise() const {
    const auto initialise = [](uint64_t* full, uint64_t* empty, int stages) {
      for (int i = 0; i < stages; i++) {
        mbarrier_init(&full[i], 1);
        mbarrier_init(&empty[i], 8);  // the consumers' warps
      }
    };
    initialise(q_full, q_empty, Tile::kQueryStages);
    initialise(k_full, k_empty, kStages);
    initialise(v_full, v_empty, kStages);
    mbarrier_init_fence();
  }

  unsigned char *q, *y, *k, *v;  // panels; all but y's in stages
  uint64_t *q_full, *q_empty, *k_full, *k_empty, *v_full, *v_empty;
};

// What a kernel needs beside the tensors' maps.
struct Sm90Args {
  int keys, units;
  Divisor query_blocks, heads;
  Divisor q_divisor, k_divisor, v_divisor;  // from a sequence to the map's
  float factor;                             // of scores, for exp2
};

// What a block computes at a time: a head's queries of a sequence.
struct Unit {
  int first_query, head, sequence;
};
DEVICE Unit find_unit(const Sm90Args& args, int number) {
  Unit unit;
  unit.first_query = args.query_blocks.take(number) * kQueries;
  unit.head = args.heads.take(number);
  unit.sequence = number;
  return unit;
}

template <typename Tile>
DEVICE int tiles_of(const Sm90Args& args) {
  return Tile::kOneTile ? 1 : (args.keys + Tile::kKeys - 1) / Tile::kKeys;
}

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
                    const TensorMap* v, const Sm90Args& args) {
  wait_for_previous_grid();
  const auto load = [&](unsigned char* to, int panel_bytes, const TensorMap* map, uint64_t* full,
                        uint64_t* empty, int parity, int row, int head, int sequence) {
    mbarrier_wait(empty, PLANTED(42) ? parity : parity ^ 1);
    mbarrier_arrive_expect(full, PLANTED(41) ? panel_bytes / 2 : Tile::kPanels * panel_bytes);
#pragma unroll
    for (int i = 0; i < Tile::kPanels; i++)
      tma_load_4d(to + i * panel_bytes, map, full, i * 64, head, row, sequence);
  };
  const int tiles = tiles_of<Tile>(args);
  Place<Tile::kQueryStages> queries;
  Place<kStages> keys;  // and values
  for (int number = int(blockIdx.x); number < args.units;
       number += int(gridDim.x), queries.next()) {
    const Unit unit = find_unit(args, number);
    load(shared.q + queries.stage * Tile::kBytesQ, Tile::kPanelQ, q, &shared.q_full[queries.stage],
         &shared.q_empty[queries.stage], queries.parity, unit.first_query, unit.head,
         args.q_divisor.divide(unit.sequence));
    const int k_sequence = args.k_divisor.divide(unit.sequence);
    const int v_sequence = args.v_divisor.divide(unit.sequence);
    for (int tile = 0; tile < tiles; tile++, keys.next()) {
      const int stage = keys.stage, row = tile * Tile::kKeys;
      load(shared.k + stage * Tile::kBytesK, Tile::kPanelK, k, &shared.k_full[stage],
           &shared.k_empty[stage], keys.parity, row, unit.head, k_sequence);
      load(shared.v + stage * Tile::kBytesK, Tile::kPanelK, v, &shared.v_full[stage],
           &shared.v_empty[stage], keys.parity, row, unit.head, v_sequence);
    }
  }
  let_next_grid_start();
}

// A warpgroup's 64 queries. A thread holds values of two rows, lane / 4 and lane / 4 + 8 of its
// warp's 16: `half` says which.
template <typename T, typename Tile>
class Sm90Consumer {
 public:
  DEVICE Sm90Consumer(const Sm90Shared<Tile>& shared, const Sm90Args& args, const TensorMap* y)
      : shared_(shared),
        args_(args),
        y_(y),
        group_(int(threadIdx.x) / 128 - 1),
        leads_(threadIdx.x % 128 == 0),
        lane_(threadIdx.x & 31) {}

  // The tiles of all units are one row of them: the scores of a tile are begun before the sums of
  // the one before it, whichever units they belong to.
  DEVICE void run() {
    wait_for_queries();
    start_scores();
    finish_scores<0>(args_.keys);
    soften(args_.keys);
    keep_probabilities();
    if (group_ == 1) named_barrier_arrive(kTurns, 256);
    int number = int(blockIdx.x);
    while (true) {
      for (int left = args_.keys - kKeys; !Tile::kOneTile && left > 0; left -= kKeys) {
        step<Tile::kOverlaps>(left);
#pragma unroll
        for (int i = 0; i < kSums / 2; i++) sums_[i] *= shrink_[i / 2 % 2];
      }
      const int next = number + int(gridDim.x);
      if (next >= args_.units) break;
      const float total[2] = {total_[0], total_[1]};
      begin_unit();
      step<Tile::kOverlaps && (Tile::kOneTile || Tile::kPanels == 1)>(args_.keys);
      store(number, total);
#pragma unroll
      for (float& sum : sums_) sum = 0;
      number = next;
    }
    const Place<kStages> values = keys_.before();
    start_sums(values);
    finish<0>(sums_, &shared_.v_empty[values.stage]);
    store(number, total_);
    if (leads_) tma_store_wait_read();
  }

 private:
  static constexpr int kColumns = Tile::kColumns, kKeys = Tile::kKeys, kSums = Tile::kSums;

  // Scores of a tile, the first of the `left` keys of its unit, and the sums of the tile before it,
  // which the softmax runs beside.
  template <bool kOverlaps>
  DEVICE void step(int left) {
    const Place<kStages> values = keys_.before();
    named_barrier(kTurns + group_, 256);
    start_scores();
    start_sums(values);
    named_barrier_arrive(kTurns + (group_ ^ 1), 256);
    finish_scores<1>(left);
    soften(left);
    if (PLANTED(43)) keep_probabilities();
    if (kOverlaps) wgmma_hold(total_[0] + total_[1]);
    finish<0>(sums_, &shared_.v_empty[values.stage]);
    if (!PLANTED(43)) keep_probabilities();
  }

  // scores = q k^T, left in flight.
  DEVICE void start_scores() {
    const unsigned char* const q =
        shared_.q +
        (Tile::kPanels > 1 ? not_before(queries_.stage) : queries_.stage) * Tile::kBytesQ +
        group_ * 64 * kRowBytes;
    const unsigned char* const k = shared_.k + keys_.stage * Tile::kBytesK;
    if (!PLANTED(46)) mbarrier_wait(&shared_.k_full[keys_.stage], keys_.parity);
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
  DEVICE void start_sums(const Place<kStages>& values) {
    const unsigned char* const v = shared_.v + values.stage * Tile::kBytesK;
    mbarrier_wait(&shared_.v_full[values.stage], values.parity);
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

  template <int kKeep>
  DEVICE void finish_scores(int left) {
    finish<kKeep>(scores_, &shared_.k_empty[keys_.stage]);
    keys_.next();
    if (PLANTED(53) ? left < args_.keys : left > kKeys) return;
    // The last of those that the queries are for.
    if (lane_ == 0) mbarrier_arrive(&shared_.q_empty[queries_.stage]);
  }

  DEVICE void wait_for_queries() {
    if (!PLANTED(52)) mbarrier_wait(&shared_.q_full[queries_.stage], queries_.parity);
  }

  DEVICE void begin_unit() {
    queries_.next();
    wait_for_queries();
#pragma unroll
    for (int half = 0; half < 2; half++) {
      top_[half] = kMasked;
      total_[half] = 0;
    }
  }

  // From scores to probabilities times exp2(-top), and by how much earlier sums shrink.
  DEVICE void soften(int left) {
    const int own = left - lane_ % 4 * 2;
    if (!PLANTED(49) && left < kKeys)
#pragma unroll
      for (int i = 0; i < kKeys / 2; i++)
        if (i / 4 * 8 + i % 2 >= own) scores_[i] = kMasked;
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
        score = kColumns <= 48 && i % 16 == 15 ? polynomial_exp2(power) : fast_exp2(power);
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

  // To the tensor, through the warpgroup's part of shared memory, which the store before has read.
  DEVICE void store(int number, const float (&total)[2]) {
    unsigned char* const panels = shared_.y + group_ * 64 * kRowBytes;
    const int row = int(threadIdx.x) / 32 % 4 * 16 + lane_ / 4;
    if (leads_ && !PLANTED(54)) tma_store_wait_read();
    named_barrier(kOwn + group_, 128);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float inverse = 1.0f / quad_sum(total[half]);
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
    const Unit unit = find_unit(args_, number);
#pragma unroll
    for (int i = 0; i < Tile::kPanels; i++)
      tma_store_4d(y_, panels + i * Tile::kPanelQ, i * 64, unit.head,
                   unit.first_query + group_ * 64, args_.q_divisor.divide(unit.sequence));
    tma_store_commit();
  }

  const Sm90Shared<Tile>& shared_;
  const Sm90Args& args_;
  const TensorMap* const y_;
  const int group_;
  const bool leads_;
  const int lane_;
  Place<Tile::kQueryStages> queries_;
  Place<kStages> keys_;
  float scores_[kKeys / 2] = {}, sums_[kSums / 2] = {};
  uint32_t probabilities_[kKeys / 16][4];
  float top_[2] = {kMasked, kMasked}, total_[2] = {}, shrink_[2];
};

}  // namespace deepcache::cuda::attention_sm90

#pragma once

// Attention as kernels_attention.h has it, with products of bf16: queries, keys, values and the
// softmax's weights are rounded; scores, sums and the softmax itself are of fp32. Keys are rows of
// tiles as they lie in memory, queries and weights pairs, and values rows of tiles transposed.

#include "attention_parts.h"
#include "kernels_matrix_bf16.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

constexpr int kBf16Keys = 256;  // of a block: a panel's scores and weights stay in L1

static inline int count_tiles(int count, int size) { return (count + size - 1) / size; }

// Where the parts of a job's scratch lie.
struct Bf16AttentionScratch {
  int panels, depth, value_tiles;                             // of queries; of the width
  size_t q, out, maximum, sum, k, v, turn, scores, p, total;  // offsets in floats

  Bf16AttentionScratch(int queries, int width)
      : panels(count_tiles(queries, kPanel)),
        depth(count_tiles(width, kBf16Depth)),
        value_tiles(count_tiles(width, kBf16Rows)) {
    size_t at = 0;
    const auto take = [&](size_t floats) {
      const size_t offset = at;
      at += round_up(floats);
      return offset;
    };
    q = take(panels * q_floats());
    out = take(panels * out_floats());
    maximum = take(size_t(panels) * kPanel);
    sum = take(size_t(panels) * kPanel);
    k = take(size_t(kBf16Keys) / kBf16Rows * depth * kTile / 2);
    v = take(size_t(value_tiles) * kBf16Keys / kBf16Depth * kTile / 2);
    turn = take(size_t(kBf16Depth) * (value_tiles + 1) * kBf16Rows);  // more than rows of q need
    const size_t row_floats = size_t(kPanel) * depth * kBf16Depth / 2;
    if (row_floats > at - turn) at = turn + round_up(row_floats);
    scores = take(size_t(kBf16Keys) * kPanel);
    p = take(size_t(kBf16Keys) * kPanel / 2);
    total = at;
  }

  size_t q_floats() const { return size_t(depth) * kBf16Depth * kPanel / 2; }  // of a panel
  size_t out_floats() const { return size_t(value_tiles) * kBf16Rows * kPanel; }
};

static size_t attention_scratch_bf16(int queries, int width) {
  return Bf16AttentionScratch(queries, width).total;
}

// A panel of queries as pairs of channels: [channel / 2][query][2].
template <typename Value>
static inline void pack_queries(const void* const* rows, int width, int depth, float* turn,
                                float* out) {
  const int pairs = depth * kBf16Depth / 2;
  const float* turned[kPanel];
  for (int r = 0; r < kPanel; r++) {
    float* const row = turn + r * pairs;
    turned[r] = row;
    const Value* const x = static_cast<const Value*>(rows[r]);
    for (int i = 0; i < depth * kBf16Depth; i += kBf16Depth)
      convert_row(x + (i < width ? i : 0), width - i, 1, reinterpret_cast<Bf16*>(row) + i);
  }
  transpose(turned, kPanel, pairs, out, kPanel);
}

// Values of kBf16Depth keys, of which `keys` exist, as [channel][key] in tiles `tile` values apart.
template <typename Value>
static inline void pack_values(const Value* first, ptrdiff_t step, int keys, int width, int tiles,
                               float* turn, Bf16* out, ptrdiff_t tile) {
  constexpr int kPairs = kBf16Depth / 2;
  const int length = tiles * kBf16Rows;
  const float* rows[kPairs];
  for (int i = 0; i < kPairs; i++) {
    float* const row = turn + i * length;
    rows[i] = row;
    const Value *even = first + 2 * i * step, *odd = even + step;
    for (int d = 0; d < length; d += kLanes) {
      const int part = d < width ? width - d : 0;
      IntVec both = {};
      if (2 * i + 1 < keys) both = load_pairs(even + d, odd + d, part);
      if (2 * i + 1 == keys) both = load_pairs(even + d, even + d, part) & 0xffff;
      store(row + d, bits(both));
    }
  }
  for (int t = 0; t < tiles; t++) {
    const float* from[kPairs];
    for (int i = 0; i < kPairs; i++) from[i] = rows[i] + t * kBf16Rows;
    transpose(from, kPairs, kBf16Rows, reinterpret_cast<float*>(out + t * tile), kPairs);
  }
}

// Turns scores (key rows of a panel) into pairs of weights; rescales what was summed before.
template <int Vectors>
static inline void softmax_to_pairs(const float* scores, int keys, float factor, float* maximum,
                                    float* sum, float* out, int out_rows, Bf16* weights) {
  for (int v = 0; v < Vectors; v++) {
    const float* const column = scores + v * kLanes;
    const Vec old = load(maximum + v * kLanes);
    Vec tops[4] = {old, old, old, old};  // chains that do not wait for each other
    for (int i = 0; i < keys; i += 4)
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) tops[j] = max(load(column + (i + j) * kPanel) * factor, tops[j]);
    const Vec top = max(max(tops[0], tops[1]), max(tops[2], tops[3]));
    const Vec correction = exp2(old - top), shift = -top;
    store(maximum + v * kLanes, top);
    for (int d = 0; d < out_rows; d++) {
      float* const at = out + d * kPanel + v * kLanes;
      store(at, load(at) * correction);
    }
    Vec even_total = load(sum + v * kLanes) * correction, odd_total = {};
    for (int i = 0; i < keys; i += 2) {
      const Vec even = exp2(fma(load(column + i * kPanel), splat(factor), shift));
      const Vec odd = exp2(fma(load(column + (i + 1) * kPanel), splat(factor), shift));
      even_total += even;
      odd_total += odd;
      store_pairs(weights + i * kPanel + v * 2 * kLanes, pairs(even, odd));
    }
    store(sum + v * kLanes, even_total + odd_total);
  }
}

// Calls body(data) with the type of its values.
template <typename Body>
static inline void with_type(const void* data, bool is_narrow, const Body& body) {
  is_narrow ? body(static_cast<const Bf16*>(data)) : body(static_cast<const float*>(data));
}

static void attention_bf16(const AttentionJob& job) {
  const int width = job.width, queries = job.end - job.begin;
  const Bf16AttentionScratch at(queries, width);
  float* const scratch = job.scratch;
  const auto bf16 = [&](size_t offset) { return reinterpret_cast<Bf16*>(scratch + offset); };
  const float factor = job.scale * kLog2E;
  const void* rows[kPanel > kBf16Rows ? kPanel : kBf16Rows];
  const TileScope tiles_are_set_up;

  with_type(job.q, job.narrow.q, [&]<typename Value>(const Value* q) {
    for (int p = 0; p < at.panels; p++) {
      // Lanes without a query repeat the last one.
      for (int i = 0; i < kPanel; i++) {
        const int query = p * kPanel + i < queries ? p * kPanel + i : queries - 1;
        rows[i] = q + (job.begin + query) * job.q_step;
      }
      pack_queries<Value>(rows, width, at.depth, scratch + at.turn,
                          scratch + at.q + p * at.q_floats());
    }
  });
  __builtin_memset(scratch + at.out, 0, at.panels * at.out_floats() * sizeof(float));
  for (int i = 0; i < at.panels * kPanel; i++) {
    scratch[at.maximum + i] = -1e30f;
    scratch[at.sum + i] = 0;
  }

  const int last_key = job.causal && job.end < job.keys ? job.end : job.keys;
  for (int first = 0; first < last_key; first += kBf16Keys) {
    if (job.cancel && job.cancel->load(std::memory_order_relaxed)) return;
    const int keys = last_key - first < kBf16Keys ? last_key - first : kBf16Keys;
    const int blocks = count_tiles(keys, kBf16Depth), padded = blocks * kBf16Depth;
    with_type(job.k, job.narrow.k, [&]<typename Value>(const Value* k) {
      for (int t = 0; t < padded / kBf16Rows; t++) {
        for (int i = 0; i < kBf16Rows; i++) {
          const int key = t * kBf16Rows + i < keys ? t * kBf16Rows + i : keys - 1;
          rows[i] = k + (first + key) * job.k_step;
        }
        gather<Value>(rows, width, 1, bf16(at.k) + size_t(t) * at.depth * kTile, 0);
      }
    });
    with_type(job.v, job.narrow.v, [&](const auto* v) {
      for (int b = 0; b < blocks; b++)
        pack_values(v + (first + b * kBf16Depth) * job.v_step, job.v_step, keys - b * kBf16Depth,
                    width, at.value_tiles, scratch + at.turn, bf16(at.v) + size_t(b) * kTile,
                    ptrdiff_t(blocks) * kTile);
    });

    for (int p = 0; p < at.panels; p++) {
      const int query = job.begin + p * kPanel;  // the panel's first
      if (job.causal && first > query + kPanel - 1) continue;
      const int vectors = queries - p * kPanel <= kLanes ? 1 : 2;
      float* const scores = scratch + at.scores;
      float* const out = scratch + at.out + p * at.out_floats();
      multiply_panel(at.depth, padded / kBf16Rows, vectors, bf16(at.k),
                     bf16(at.q + p * at.q_floats()), scores, true);
      if (job.causal && first + keys - 1 > query)
        for (int i = 0; i < keys; i++)
          for (int j = 0; j < kPanel && query + j < first + i; j++) scores[i * kPanel + j] = -1e30f;
      for (int i = keys * kPanel; i < padded * kPanel; i++) scores[i] = -1e30f;
      (vectors == 1 ? softmax_to_pairs<1> : softmax_to_pairs<2>)(scores, padded, factor,
                                                                 scratch + at.maximum + p * kPanel,
                                                                 scratch + at.sum + p * kPanel, out,
                                                                 at.value_tiles * kBf16Rows,
                                                                 bf16(at.p));
      multiply_panel(blocks, at.value_tiles, vectors, bf16(at.v), bf16(at.p), out, false);
    }
  }

  for (int p = 0; p < at.panels; p++) {
    const int left = queries - p * kPanel;
    (job.narrow.y ? write_panel<Bf16> : write_panel<float>)(job, job.begin + p * kPanel,
                                                            left < kPanel ? left : kPanel,
                                                            scratch + at.out + p * at.out_floats(),
                                                            scratch + at.sum + p * kPanel);
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

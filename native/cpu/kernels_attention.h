#pragma once

// softmax(scale * q k^T) v by online softmax: keys in blocks, a running maximum and sum for each
// query, never the whole score matrix (Milakov and Gimelshein 2018; FlashAttention, Dao et al.
// 2022).
//
// Everything is computed transposed: scores^T = k q^T has queries along the vectors, so that the
// softmax needs no sums across lanes, its result is already the panel that out^T = v^T p^T needs,
// and any head width fills the register tiles.

#include "attention_parts.h"
#include "kernels_matrix.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

constexpr int kKeyBlock = 128;

// Where the parts of a job's scratch lie.
struct AttentionScratch {
  size_t q, out, maximum, sum, k, v, scores, total;  // offsets in floats

  AttentionScratch(int queries, int width) {
    const size_t panels = (queries + kPanel - 1) / kPanel;
    size_t at = 0;
    const auto take = [&](size_t count) {
      const size_t offset = at;
      at += round_up(count);
      return offset;
    };
    q = take(panels * width * kPanel);
    out = take(panels * width * kPanel);
    maximum = take(panels * kPanel);
    sum = take(panels * kPanel);
    k = take(size_t(kKeyBlock) * width + kLanes);  // the last transposed row is a whole vector
    v = take(size_t(kKeyBlock) * width);
    scores = take(size_t(kKeyBlock) * kPanel);
    total = at;
  }
};

static size_t attention_scratch(int queries, int width) {
  return AttentionScratch(queries, width).total;
}

// Calls body(first row, rows) for balanced tiles of `count` rows.
template <typename Body>
static inline void for_tiles(int count, const Body& body) {
  const int tiles = (count + kTileRows - 1) / kTileRows;
  for (int t = 0; t < tiles; t++) {
    const int begin = count * t / tiles;
    body(begin, count * (t + 1) / tiles - begin);
  }
}

// Turns scores (keys rows of a panel) into weights; rescales what was summed before.
template <int Vectors>
static inline void online_softmax(float* scores, int keys, float factor, float* maximum, float* sum,
                                  float* out, int width) {
  Vec top[Vectors], total[Vectors], shift[Vectors];
  for (int v = 0; v < Vectors; v++) top[v] = load(maximum + v * kLanes);
  for (int i = 0; i < keys; i++)
    for (int v = 0; v < Vectors; v++)
      top[v] = max(load(scores + i * kPanel + v * kLanes) * factor, top[v]);
  for (int v = 0; v < Vectors; v++) {
    const Vec old = load(maximum + v * kLanes);
    const Vec correction = exp2(old - top[v]);
    store(maximum + v * kLanes, top[v]);
    total[v] = load(sum + v * kLanes) * correction;
    shift[v] = -top[v];
    for (int d = 0; d < width; d++) {
      float* at = out + d * kPanel + v * kLanes;
      store(at, load(at) * correction);
    }
  }
  for (int i = 0; i < keys; i++) {
    for (int v = 0; v < Vectors; v++) {
      float* at = scores + i * kPanel + v * kLanes;
      const Vec weight = exp2(fma(load(at), splat(factor), shift[v]));
      total[v] += weight;
      store(at, weight);
    }
  }
  for (int v = 0; v < Vectors; v++) store(sum + v * kLanes, total[v]);
}

static void attention(const AttentionJob& job) {
  const AttentionScratch at(job.end - job.begin, job.width);
  float* const scratch = job.scratch;
  const int width = job.width, queries = job.end - job.begin;
  const int panels = (queries + kPanel - 1) / kPanel;
  const float factor = job.scale * kLog2E;
  const float *const q = static_cast<const float*>(job.q),
                     *const k = static_cast<const float*>(job.k),
                     *const v = static_cast<const float*>(job.v);
  const float* rows[kPanel];

  for (int p = 0; p < panels; p++) {
    // Lanes without a query repeat the last one.
    for (int i = 0; i < kPanel; i++) {
      const int query = p * kPanel + i < queries ? p * kPanel + i : queries - 1;
      rows[i] = q + (job.begin + query) * job.q_step;
    }
    transpose(rows, kPanel, width, scratch + at.q + size_t(p) * width * kPanel, kPanel);
  }
  __builtin_memset(scratch + at.out, 0, size_t(panels) * width * kPanel * sizeof(float));
  for (int i = 0; i < panels * kPanel; i++) {
    scratch[at.maximum + i] = -1e30f;
    scratch[at.sum + i] = 0;
  }

  const int last_key = job.causal && job.end < job.keys ? job.end : job.keys;
  for (int first = 0; first < last_key; first += kKeyBlock) {
    if (job.cancel && job.cancel->load(std::memory_order_relaxed)) return;
    const int keys = last_key - first < kKeyBlock ? last_key - first : kKeyBlock;
    for_tiles(keys, [&](int begin, int count) {
      for (int i = 0; i < count; i++) rows[i] = k + (first + begin + i) * job.k_step;
      transpose(rows, count, width, scratch + at.k + begin * width, count);
    });
    for (int i = 0; i < keys; i++)
      __builtin_memcpy(scratch + at.v + i * width, v + (first + i) * job.v_step,
                       width * sizeof(float));

    for (int p = 0; p < panels; p++) {
      const int query = job.begin + p * kPanel;  // the panel's first
      if (job.causal && first > query + kPanel - 1) continue;
      const int vectors = queries - p * kPanel <= kLanes ? 1 : 2;
      float* const scores = scratch + at.scores;
      float* const out = scratch + at.out + size_t(p) * width * kPanel;
      for_tiles(keys, [&](int begin, int count) {
        choose_tile(count, vectors)(width, scratch + at.k + begin * width, count,
                                    scratch + at.q + size_t(p) * width * kPanel,
                                    scores + begin * kPanel, kPanel, true);
      });
      if (job.causal && first + keys - 1 > query)
        for (int i = 0; i < keys; i++)
          for (int j = 0; j < kPanel && query + j < first + i; j++) scores[i * kPanel + j] = -1e30f;
      (vectors == 1 ? online_softmax<1>
                    : online_softmax<2>)(scores, keys, factor, scratch + at.maximum + p * kPanel,
                                         scratch + at.sum + p * kPanel, out, width);
      for_tiles(width, [&](int begin, int count) {
        choose_tile(count, vectors)(keys, scratch + at.v + begin, width, scores,
                                    out + begin * kPanel, kPanel, false);
      });
    }
  }

  for (int p = 0; p < panels; p++) {
    const int left = queries - p * kPanel;
    write_panel<float>(job, job.begin + p * kPanel, left < kPanel ? left : kPanel,
                       scratch + at.out + size_t(p) * width * kPanel,
                       scratch + at.sum + p * kPanel);
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA

#pragma once

// The warpgroups of matmul_sm90.cu's kernel that multiply and finish.

#include "cuda/kernels/matmul_e4m3.h"
#include "cuda/kernels/matmul_sm90.h"

namespace deepcache::cuda::matmul_sm90 {

template <typename T, typename Operand, typename Tile, Finish kFinish>
class Consumer {
 public:
  DEVICE Consumer(const MatmulArgs& args, const MatmulBoxes& boxes, const Schedule& schedule,
                  const Shared<Tile>& shared, int group)
      : args_(args),
        boxes_(boxes),
        schedule_(schedule),
        shared_(shared),
        group_(group),
        lane_(int(threadIdx.x) & 31),
        first_part_(Tile::kSideBySide ? 0 : group * kParts),
        side_(Tile::kSideBySide ? group * kWidth : 0) {
    // Where the thread's rows lie in a box is the same for all of them.
    const int warp = int(threadIdx.x) / 32 & 3;
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      int row = (first_part_ + i / 2) * 64 + warp * 16 + lane_ / 4 + i % 2 * 8;
      const int x = schedule.box_w.take(row), y = schedule.box_h.take(row);
      places_[i] = x | y << 10 | row << 20;  // each at most 256
    }
  }

  DEVICE void run() {
    int turn = 0;
    for (int item = first_item<Tile>(); item < schedule_.items;
         item += item_step<Tile>(), turn ^= 1) {
      const Work work = find_work<Tile>(boxes_, schedule_, item);
      float bias[kOwn], scales[kOwn];
      fetch_columns(work, bias, scales);
      multiply(work);
      const Row first = row_of(work, 0);
      uint2 residual[kGroups];
      load_residual(first, residual);
      float2 norms[kRows > 2 ? 1 : kRows];  // with four rows, there are registers for one of them
      fetch_norms(work, norms);
      finish_products();
      float* const columns = shared_.columns + (group_ * 2 + turn) * 2 * kWidth;
      keep_columns(bias, scales, columns);
      write_row(work, first, 0, columns, residual, norms[0]);
#pragma unroll
      for (int i = 1; i < kRows; i++) {
        const Row row = row_of(work, i);
        load_residual(row, residual);
        if constexpr (kNormed && kRows > 2) norms[0] = quad_norm(args_, row_at(work, i));
        write_row(work, row, i, columns, residual, norms[kRows > 2 ? 0 : i]);
      }
    }
  }

 private:
  static constexpr int kStages = Tile::kStages, kWidth = Tile::kWidth, kParts = Tile::kParts;
  static constexpr int kRows = 2 * kParts;              // of a thread
  static constexpr int kGroups = kWidth / kPackedRows;  // of columns
  static constexpr int kOwn = (kWidth + 127) / 128;     // columns that a thread fetches for all
  static constexpr bool kFp8 = kIsFp8<Operand>, kBias = kFinish != Finish::apart;
  static constexpr bool kSummed = kIsSummed<kFinish>, kNormed = kIsNormed<kFinish>;
  static constexpr bool kScales = kFp8 || kNormed;  // columns have more than something to add
  // Whether there are registers for a few columns' operands beside the sums, not for all of a row.
  static constexpr bool kTight =
      kParts * kWidth >= 256 &&
      (kFp8 || kSummed || kNormed || (kFinish == Finish::general && (kParts > 1 || Tile::kPairs)) ||
       (kUnfolded<kFinish> == Finish::geglu && kParts > 1));

  struct Row {
    Fours<T, kUnfolded<kFinish>> fours;
    float scale;  // of its codes
  };
  DEVICE Row row_of(const Work& work, int i) const {
    const OutputRow row = row_at(work, i);
    const Fours<T, kUnfolded<kFinish>> fours(args_, row, work.split, work.column + side_);
    if constexpr (kFp8) return {fours, input_scale(args_, row)};
    return {fours, 1};
  }

  DEVICE OutputRow row_at(const Work& work, int i) const {
    // With four rows, there are registers for the addresses of one of them.
    const int place = kRows > 2 ? not_before(places_[i]) : places_[i];
    const int x = place & 1023, y = place >> 10 & 1023, sample = place >> 20;
    OutputRow row = output_row(args_, work.phase, work.sample + sample, work.y + y, work.x + x);
    row.valid &= sample < boxes_.n;
    return row;
  }

  // Of the thread's first rows: they come while the last products run.
  template <int kSome>
  DEVICE void fetch_norms(const Work& work, float2 (&norms)[kSome]) const {
    if constexpr (kNormed) {
#pragma unroll
      for (int i = 0; i < kSome; i++) norms[i] = quad_norm(args_, row_at(work, i));
    }
  }

  // What is added to each column, and its codes' scale or the sum of its weights: every thread
  // reads some of it while products run. A tile that is given a row vector is of one sample
  // (choose_boxes).
  DEVICE void fetch_columns(const Work& work, float (&bias)[kOwn], float (&scales)[kOwn]) const {
#pragma unroll
    for (int i = 0; i < kOwn; i++) {
      const int at = i * 128 + int(threadIdx.x) % 128, column = work.column + side_ + at;
      if constexpr (kBias) {
        bias[i] = at < kWidth ? bias_of(args_, column, kUnfolded<kFinish> == Finish::geglu) : 0.0f;
        if (args_.has_row && at < kWidth) bias[i] += row_value<T>(args_, work.sample, column);
      }
      if constexpr (kFp8)
        scales[i] =
            at < kWidth && column < args_.columns ? args_.segments[0].weight_scales[column] : 0.0f;
      if constexpr (kNormed)
        scales[i] = at < kWidth && column < args_.columns ? args_.weight_sums[column] : 0.0f;
    }
  }

  // Another tile's lie beside them: who is late still reads those.
  DEVICE void keep_columns(const float (&bias)[kOwn], const float (&scales)[kOwn],
                           float* to) const {
    if constexpr (!kBias && !kScales) return;
#pragma unroll
    for (int i = 0; i < kOwn; i++) {
      const int at = i * 128 + int(threadIdx.x) % 128;
      if (at >= kWidth) continue;
      if constexpr (kBias) to[at] = bias[i];
      if constexpr (kScales) to[kWidth + at] = scales[i];
    }
    if (!PLANTED(28)) named_barrier(1 + group_, 128);
  }

  // Leaves the last chunk's products in flight.
  DEVICE void multiply(const Work& work) {
    for (int i = 0; i < work.count; i++, place_.next()) {
      if (!PLANTED(24)) mbarrier_wait(&shared_.full[place_.stage], place_.parity);
      const unsigned char* const a =
          shared_.a + place_.stage * Tile::kBytesA + first_part_ * 64 * Tile::kRowBytes;
      const unsigned char* const b =
          shared_.b + place_.stage * Tile::kBytesB + side_ * Tile::kRowBytes;
      if (!PLANTED(25)) wgmma_fence();
#pragma unroll
      for (int step = 0; step < Tile::kRowBytes / 32; step++)
#pragma unroll
        for (int part = 0; part < kParts; part++)
          wgmma<Operand, kWidth>(
              sums_[part], wgmma_descriptor(a + part * 64 * Tile::kRowBytes + step * 32, 16, 1024),
              wgmma_descriptor(b + step * 32, 16, 1024), step > 0 || i > 0);
      wgmma_commit();
      if (!PLANTED(26)) wgmma_wait<1>();
      // A warp waits for its own part of a product alone, so that each gives the stage back.
      if (i > 0) give_back();
      previous_ = place_.stage;
    }
  }

  DEVICE void finish_products() {
    if (!PLANTED(27)) wgmma_wait<0>();
    give_back();
  }

  // The stage that has been read: to who writes it, the producers of both blocks of a pair.
  DEVICE void give_back() const {
    uint64_t* const empty = &shared_.empty[previous_];
    if constexpr (Tile::kPairs) {
      if (lane_ < 2) mbarrier_arrive_in_cluster(empty, PLANTED(33) ? rank_in_pair<Tile>() : lane_);
    } else if (lane_ == 0) {
      mbarrier_arrive(empty);
    }
  }

  // The first row's come while the last products run.
  DEVICE void load_residual(const Row& row, uint2 (&residual)[kGroups]) const {
#pragma unroll
    for (int g = 0; g < kGroups; g++) residual[g] = row.fours.load_residual(g);
  }

  DEVICE void write_row(const Work& work, const Row& row, int i, const float* columns,
                        const uint2 (&residual)[kGroups], float2 norm) const {
    int first = pair_column(0);
    float2 sums = {0, 0};
    const auto four_of = [&](const float* from, int g) {
      return *reinterpret_cast<const float4*>(from + g * kPackedRows + first);
    };
#pragma unroll
    for (int g = 0; g < kGroups; g++) {
      if (kTight && g % 4 == 0) first = not_before(first);
      const float *const low = sums_[i / 2] + 8 * g + i % 2 * 2, *const high = low + 4;
      float4 v = {low[0], low[1], high[0], high[1]};
      if constexpr (kFp8) {
        const float4 scales = four_of(columns + kWidth, g);
        v = {v.x * (row.scale * scales.x), v.y * (row.scale * scales.y),
             v.z * (row.scale * scales.z), v.w * (row.scale * scales.w)};
      }
      if constexpr (kNormed) {
        const float4 add = four_of(columns, g), weights = four_of(columns + kWidth, g);
        v = {v.x * norm.x + (weights.x * norm.y + add.x),
             v.y * norm.x + (weights.y * norm.y + add.y),
             v.z * norm.x + (weights.z * norm.y + add.z),
             v.w * norm.x + (weights.w * norm.y + add.w)};
      } else if constexpr (kBias) {
        const float4 add = four_of(columns, g);
        v = {v.x + add.x, v.y + add.y, v.z + add.z, v.w + add.w};
      }
      v = row.fours.write(g, v, residual[g]);
      if constexpr (kSummed) add_to_sums(sums, v);
    }
    if constexpr (kSummed) keep_sums(args_, row_at(work, i), work.column + side_, sums);
  }

  const MatmulArgs& args_;
  const MatmulBoxes& boxes_;
  const Schedule& schedule_;
  const Shared<Tile>& shared_;
  const int group_, lane_;
  const int first_part_, side_;  // of the tile's 64 rows; of its columns
  Place<kStages> place_;
  int previous_ = 0;  // the stage that the products in flight read
  int places_[kRows];
  float sums_[kParts][kWidth / 2];
};

}  // namespace deepcache::cuda::matmul_sm90

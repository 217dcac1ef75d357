#pragma once

// The warpgroups of matmul_sm90.cu's kernel that multiply and finish.

#include "cuda/kernels/matmul_sm90.h"

namespace deepcache::cuda::matmul_sm90 {

template <typename T, typename Tile, Finish kFinish>
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
    for (int item = int(blockIdx.x); item < schedule_.items; item += int(gridDim.x), turn ^= 1) {
      const Work work = find_work<Tile>(boxes_, schedule_, item);
      float bias[kBiases];
      if constexpr (kFinish != Finish::apart) fetch_bias(work, bias);
      multiply(work);
      const Fours<T, kFinish> first = fours(work, 0);
      uint2 residual[kGroups];
      load_residual(first, residual);
      finish_products();
      float* const shared_bias = shared_.bias + (group_ * 2 + turn) * kWidth;
      if constexpr (kFinish != Finish::apart) keep_bias(bias, shared_bias);
      write_row(first, 0, shared_bias, residual);
#pragma unroll
      for (int i = 1; i < kRows; i++) {
        const Fours<T, kFinish> row = fours(work, i);
        load_residual(row, residual);
        write_row(row, i, shared_bias, residual);
      }
    }
  }

 private:
  static constexpr int kStages = Tile::kStages, kWidth = Tile::kWidth, kParts = Tile::kParts;
  static constexpr int kRows = 2 * kParts;              // of a thread
  static constexpr int kGroups = kWidth / kPackedRows;  // of columns
  static constexpr int kBiases = (kWidth + 127) / 128;  // of a thread, for all

  DEVICE Fours<T, kFinish> fours(const Work& work, int i) const {
    return {args_, row_at(work, i), work.split, work.column + side_};
  }

  DEVICE OutputRow row_at(const Work& work, int i) const {
    // With four rows, there are registers for the addresses of one of them.
    const int place = kRows > 2 ? not_before(places_[i]) : places_[i];
    const int x = place & 1023, y = place >> 10 & 1023, sample = place >> 20;
    OutputRow row = output_row(args_, work.phase, work.sample + sample, work.y + y, work.x + x);
    row.valid &= sample < boxes_.n;
    return row;
  }

  // What is added to each column: every thread reads some of it while products run. A tile that is
  // given a row vector is of one sample (choose_boxes).
  DEVICE void fetch_bias(const Work& work, float (&bias)[kBiases]) const {
#pragma unroll
    for (int i = 0; i < kBiases; i++) {
      const int at = i * 128 + int(threadIdx.x) % 128, column = work.column + side_ + at;
      bias[i] = at < kWidth ? bias_of(args_, column, kFinish == Finish::geglu) : 0.0f;
      if (args_.has_row && at < kWidth) bias[i] += row_value<T>(args_, work.sample, column);
    }
  }

  // Another tile's lies beside it: who is late still reads that.
  DEVICE void keep_bias(const float (&bias)[kBiases], float* to) const {
#pragma unroll
    for (int i = 0; i < kBiases; i++) {
      const int at = i * 128 + int(threadIdx.x) % 128;
      if (at < kWidth) to[at] = bias[i];
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
      for (int step = 0; step < kMatmulChunk / 16; step++)
#pragma unroll
        for (int part = 0; part < kParts; part++)
          wgmma<T, kWidth>(sums_[part],
                           wgmma_descriptor(a + part * 64 * Tile::kRowBytes + step * 32, 16, 1024),
                           wgmma_descriptor(b + step * 32, 16, 1024), step > 0 || i > 0);
      wgmma_commit();
      if (!PLANTED(26)) wgmma_wait<1>();
      // A warp waits for its own part of a product alone, so that each gives the stage back.
      if (lane_ == 0 && i > 0) mbarrier_arrive(&shared_.empty[previous_]);
      previous_ = place_.stage;
    }
  }

  DEVICE void finish_products() {
    if (!PLANTED(27)) wgmma_wait<0>();
    if (lane_ == 0) mbarrier_arrive(&shared_.empty[previous_]);
  }

  // The first row's come while the last products run.
  DEVICE void load_residual(const Fours<T, kFinish>& row, uint2 (&residual)[kGroups]) const {
#pragma unroll
    for (int g = 0; g < kGroups; g++) residual[g] = row.load_residual(g);
  }

  DEVICE void write_row(const Fours<T, kFinish>& row, int i, const float* bias,
                        const uint2 (&residual)[kGroups]) const {
#pragma unroll
    for (int g = 0; g < kGroups; g++) {
      const float *const low = sums_[i / 2] + 8 * g + i % 2 * 2, *const high = low + 4;
      float4 v = {low[0], low[1], high[0], high[1]};
      if constexpr (kFinish != Finish::apart) {
        const float4 add =
            *reinterpret_cast<const float4*>(bias + g * kPackedRows + pair_column(0));
        v = {v.x + add.x, v.y + add.y, v.z + add.z, v.w + add.w};
      }
      row.write(g, v, residual[g]);
    }
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

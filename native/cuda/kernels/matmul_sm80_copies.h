#pragma once

// What a thread of matmul_sm80.cu's kernel copies of each chunk of k: the same 16 bytes of every
// kCopyRows-th row of A and of W.
//
// From chunk to chunk these are counted on. Only where a thread's channels enter the next tap are
// the input's pixels looked for: to divide k by the channels, and find a source for every copy, in
// each chunk would be half of the instructions beside the products.

#include "cuda/kernels/matmul_gather.h"

namespace deepcache::cuda {

template <typename T, typename Operand, typename Tile, bool kAsync>
class Copies {
 public:
  static constexpr int kPart = 16 / sizeof(Operand), kChunk = 8 * kPart;

  // From chunk `chunk` of all on, of which the first segment has `chunks_of_first`.
  DEVICE Copies(const MatmulArgs& args, int phase, int first_row, int first_column, int chunk,
                int chunks_of_first)
      : args_(args), phase_(phase), chunk_(chunk), chunks_of_first_(chunks_of_first) {
    const int thread = int(threadIdx.x), row = thread / 8;
    to_ = row * kChunk + ((thread % 8) ^ (row % 8)) * kPart;
    column_ = first_column + row;
#pragma unroll
    for (int i = 0; i < kRowsA; i++)
      pixels_[i] = find_pixel(args, first_row + row + i * Tile::kCopyRows);
    const bool second = chunk >= chunks_of_first;
    enter(second, second ? chunk - chunks_of_first : chunk);
  }

  // Copies the chunk to a stage of each, and moves on to the next one.
  DEVICE void next(Operand* stage_a, Operand* stage_b) {
    if (chunk_ == chunks_of_first_) enter(1, 0);
    const MatmulSegment& from = args_.segments[segment_];
    copy_a(from, stage_a + to_);
    copy_b(from, stage_b + to_);
    chunk_++;
    k_ += kChunk;
    channel_ += kChunk;
    const int width = from.channels[0] + from.channels[1];
    if (kAsync && channel_ >= width) {
      for (; channel_ >= width; channel_ -= width) {
        if (++tap_x_ < from.kernel_w) continue;
        tap_x_ = 0;
        tap_y_++;
      }
      find_sources();
    }
  }

 private:
  static constexpr int kRowsA = Tile::kRows / Tile::kCopyRows;
  static constexpr int kRowsB = Tile::kColumns / Tile::kCopyRows;

  DEVICE void enter(int segment, int chunk) {
    const MatmulSegment& from = args_.segments[segment_ = segment];
    const int width = from.channels[0] + from.channels[1];
    k_ = chunk * kChunk + int(threadIdx.x) % 8 * kPart;
    const int tap = k_ / width;
    channel_ = k_ - tap * width;
    tap_y_ = tap / from.kernel_w;
    tap_x_ = tap - tap_y_ * from.kernel_w;
    if (kAsync) find_sources();
  }

  DEVICE void find_sources() {
    const MatmulSegment& from = args_.segments[segment_];
#pragma unroll
    for (int i = 0; i < kRowsA; i++)
      sources_[i] =
          tap_y_ < from.kernel_h ? find_source(from, phase_, pixels_[i], tap_y_, tap_x_) : -1;
  }

  DEVICE void copy_a(const MatmulSegment& from, Operand* to) const {
    if constexpr (kAsync) {
      const bool second = channel_ >= from.channels[0];
      const int channels = from.channels[second];
      const Operand* const x = static_cast<const Operand*>(from.x[second].data) +
                               (second ? channel_ - from.channels[0] : channel_);
#pragma unroll
      for (int i = 0; i < kRowsA; i++) {
        const bool valid = sources_[i] >= 0;
        cp_async16(to + i * Tile::kCopyRows * kChunk,
                   x + (valid ? (long long)sources_[i] * channels : 0), valid);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kRowsA; i++)
        *reinterpret_cast<uint4*>(to + i * Tile::kCopyRows * kChunk) =
            gather<T>(from, phase_, pixels_[i], k_);
    }
  }

  DEVICE void copy_b(const MatmulSegment& from, Operand* to) const {
    const int rows = packed_rows(args_.columns), stride = from.weight_stride;
    const Operand* const all = static_cast<const Operand*>(from.weight);
    const Operand* const weight = all + (size_t(phase_) * rows + column_) * stride + k_;
    const int left = k_ < stride ? rows - column_ : 0;
#pragma unroll
    for (int i = 0; i < kRowsB; i++) {
      const bool valid = i * Tile::kCopyRows < left;
      cp_async16(to + i * Tile::kCopyRows * kChunk,
                 valid ? weight + (long long)(i * Tile::kCopyRows) * stride : all, valid);
    }
  }

  const MatmulArgs& args_;
  const int phase_;
  int chunk_;
  const int chunks_of_first_;
  int segment_ = 0, to_, column_;
  int k_, channel_, tap_y_, tap_x_;  // of the thread's 16 bytes
  Pixel pixels_[kRowsA];
  int sources_[kRowsA];  // rows of the input, or -1
};

}  // namespace deepcache::cuda

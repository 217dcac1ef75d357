#pragma once

// Where a convolution reads: a tensor as it lies, or what a norm makes of a piece of one.

#include "cpu/conv_blocks.h"
#include "cpu/op.h"

namespace deepcache::cpu {

// Rows of `width` pixels, of which the first is (n, y, x) of the whole input; a sample has `height`
// of them.
struct ConvInput {
  const char* data = nullptr;
  size_t pitch = 0;        // bytes from pixel to pixel
  bool is_narrow = false;  // values of bf16
  int n = 0, y = 0, x = 0, height = 0, width = 0;

  const char* pixel(int at_n, int at_y, int at_x) const {
    const size_t row = size_t(at_n - n) * size_t(height) + size_t(at_y - y);
    return data + (row * size_t(width) + size_t(at_x - x)) * pitch;
  }
};

// The output of a norm (Conv::norm) where a block of the convolution's pixels reads it: computed
// into scratch, again for every block, so that nowhere is all of it.
class NormedInput {
 public:
  // `to_bf16`: what is computed is rounded.
  NormedInput(const Conv& op, const GroupNorm& norm, const OpContext& context, bool to_bf16)
      : op_(op),
        norm_(norm),
        kernels_(context.kernels),
        x_is_narrow_{context.is_narrow(norm.x), context.is_narrow(norm.x2)},
        to_bf16_(to_bf16) {}

  // Of scratch.
  size_t floats(const ConvSplit& split, const ConvRegion& region) const;
  ConvInput make(const RunContext& context, const ConvRegion& region, const ConvBlock& block,
                 float* scratch) const;

 private:
  size_t pitch() const;  // in values
  template <typename From, typename To>
  void fill(const From* x, int channels, int offset, To* y, const float* scales,
            const ConvRegion& region, const ConvInput& out) const;

  const Conv& op_;
  const GroupNorm norm_;
  const Kernels& kernels_;
  const bool x_is_narrow_[2];
  const bool to_bf16_;
};

}  // namespace deepcache::cpu

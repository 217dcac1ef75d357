#include "cpu/conv_input.h"

#include <algorithm>

namespace deepcache::cpu {

// Pixels that are a power of two apart would meet in the same sets of a cache.
size_t NormedInput::pitch() const {
  constexpr size_t kLine = 16;
  return (size_t(norm_.y.shape.c) + kLine - 1) / kLine * kLine + kLine;
}

size_t NormedInput::floats(const ConvSplit& split, const ConvRegion& region) const {
  return size_t(most_height(split, region) + op_.kernel_h - 1) *
         size_t(most_width(split, region) + op_.kernel_w - 1) * pitch();
}

ConvInput NormedInput::make(const RunContext& context, const ConvRegion& region,
                            const ConvBlock& block, float* scratch) const {
  ConvInput out;
  out.data = scratch;
  out.pitch = pitch();
  out.n = block.n;
  out.y = std::max(0, block.y + region.origin_y);
  out.x = std::max(0, block.x + region.origin_x);
  out.height =
      std::min(region.limit_y, block.y + block.height + region.origin_y + op_.kernel_h - 1) - out.y;
  out.width =
      std::min(region.limit_x, block.x + block.width + region.origin_x + op_.kernel_w - 1) - out.x;
  const int channels = norm_.y.shape.c;
  const float* const scales = context.floats(norm_.y) + size_t(block.n) * 2 * channels;
  int offset = 0;
  for (const Tensor* x : {&norm_.x, &norm_.x2}) {
    if (!*x) continue;
    const int width = x->shape.c;
    const ConvInput from{context.floats(*x),  size_t(width),     0, 0, 0,
                         region.input_height, region.input_width};
    for (int y = 0; y < out.height; y++)
      kernels_.scale_shift(from.pixel(out.n, out.y + y, out.x),
                           scratch + size_t(y) * out.width * out.pitch + offset, out.width, width,
                           int(out.pitch), scales + offset, scales + channels + offset, norm_.silu);
    offset += width;
  }
  return out;
}

}  // namespace deepcache::cpu

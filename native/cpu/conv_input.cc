#include "cpu/conv_input.h"

#include <algorithm>

#include "cpu/norm_values.h"

namespace deepcache::cpu {

// Pixels that are a power of two apart would meet in the same sets of a cache.
size_t NormedInput::pitch() const {
  const size_t line = 64 / (to_bf16_ ? sizeof(Bf16) : sizeof(float));
  return (size_t(norm_.y.shape.c) + line - 1) / line * line + line;
}

size_t NormedInput::floats(const ConvSplit& split, const ConvRegion& region) const {
  const size_t values = size_t(most_height(split, region) + op_.kernel_h - 1) *
                        size_t(most_width(split, region) + op_.kernel_w - 1) * pitch();
  return to_bf16_ ? (values + 1) / 2 : values;
}

// Of the norm's channels those that lie in one of its inputs.
template <typename From, typename To>
void NormedInput::fill(const From* x, int channels, int offset, To* y, const float* scales,
                       const ConvRegion& region, const ConvInput& out) const {
  ScaleShift values;
  values.rows = out.width;
  values.channels = channels;
  values.y_stride = int(pitch());
  values.scale = scales + offset;
  values.shift = values.scale + norm_.y.shape.c;
  values.silu = norm_.silu;
  for (int i = 0; i < out.height; i++) {
    const size_t row = (size_t(out.n) * region.input_height + out.y + i) * region.input_width;
    values.run(kernels_, x + (row + out.x) * channels,
               y + size_t(i) * out.width * pitch() + offset);
  }
}

ConvInput NormedInput::make(const RunContext& context, const ConvRegion& region,
                            const ConvBlock& block, float* scratch) const {
  ConvInput out;
  out.data = reinterpret_cast<const char*>(scratch);
  out.pitch = pitch() * (to_bf16_ ? sizeof(Bf16) : sizeof(float));
  out.is_narrow = to_bf16_;
  out.n = block.n;
  out.y = std::max(0, block.y + region.origin_y);
  out.x = std::max(0, block.x + region.origin_x);
  out.height =
      std::min(region.limit_y, block.y + block.height + region.origin_y + op_.kernel_h - 1) - out.y;
  out.width =
      std::min(region.limit_x, block.x + block.width + region.origin_x + op_.kernel_w - 1) - out.x;
  const float* const scales = context.floats(norm_.y) + size_t(block.n) * 2 * norm_.y.shape.c;
  int offset = 0;
  for (const Tensor* x : {&norm_.x, &norm_.x2}) {
    if (!*x) continue;
    const int channels = x->shape.c;
    const auto to = [&](const auto* from) {
      if (to_bf16_)
        fill(from, channels, offset, reinterpret_cast<Bf16*>(scratch), scales, region, out);
      else
        fill(from, channels, offset, scratch, scales, region, out);
    };
    x_is_narrow_[x != &norm_.x] ? to(context.bf16(*x)) : to(context.floats(*x));
    offset += channels;
  }
  return out;
}

}  // namespace deepcache::cpu

#include "vae_mask.h"

#include <algorithm>

#include "../runtime/error.h"

namespace deepcache {
namespace {

constexpr int kStride = 16;  // of the whole encoder, in published models

// Widths of its layers. The first two have the picture's size, each of the others half of the last.
std::vector<int> layer_channels(const VaeConfig& config) {
  int out = config.decoder_channels.front();
  const int most = config.decoder_channels.back();
  std::vector<int> channels;
  for (int stride = kStride; stride > 1; stride /= 2) {
    out = std::min(out, most);
    channels.push_back(out);
    out *= 2;
  }
  channels.push_back(most);
  return channels;
}

}  // namespace

MaskCondition::MaskCondition(Recorder& record, const VaeConfig& config, int batch, int height,
                             int width)
    : record_(record) {
  Tensor x =
      record.plan().external(PortKind::kept_image, {batch, height, width, config.out_channels});
  const std::vector<int> channels = layer_channels(config);
  for (size_t i = 0; i < channels.size(); ++i) {
    const std::string name = "decoder.condition_encoder.layers." + std::to_string(i);
    // Small pictures have no more levels.
    if (i > 1 && std::min(x.shape.h, x.shape.w) < 2) break;
    x = record.conv(x, name,
                    i < 2 ? ConvOptions{.out = channels[i], .kernel = 3}
                          : ConvOptions{.out = channels[i], .kernel = 4, .stride = 2, .pad = 1});
    record.label(x, name);
    // The last one of a size is what counts.
    if (!values_.empty() && values_.back().shape == x.shape) values_.pop_back();
    values_.push_back(x);
    x = record.relu(x);
  }
}

Tensor MaskCondition::blend(Tensor x) {
  for (const Tensor& value : values_) {
    if (!(value.shape == x.shape)) continue;
    Tensor mask;
    for (const Tensor& known : masks_)
      if (known.shape.h == x.shape.h && known.shape.w == x.shape.w) mask = known;
    if (!mask) {
      mask = record_.plan().external({PortKind::mask, int(masks_.size())},
                                     {x.shape.n, x.shape.h, x.shape.w, 1});
      masks_.push_back(mask);
    }
    return record_.elementwise({.x = x, .x2 = value, .mask = mask});
  }
  throw Error(ErrorCode::kInvalidArgument,
              "a masked decoding needs a picture whose sides are multiples of " +
                  std::to_string(kStride) + ", or channels that its levels share");
}

}  // namespace deepcache

// What other networks add to a U-Net: to its skips, to its mid block's output and inside of its
// down path. Each is scaled by a value of the step's row, for each sample.

#include <algorithm>

#include "controlnet.h"
#include "unet_blocks.h"

namespace deepcache {

int scales_of(const UnetConfig& config, const UnetExtras& extras) {
  return residual_port(config, extras.residuals, 0) + (extras.block_features > 0 ? 1 : 0);
}

Tensor UnetBlocks::scales() {
  if (!scales_)
    scales_ =
        plan().external(PortKind::residual_scale,
                        {shape_.batch, 1, 1, scales_of(config_, shape_.extras)}, Type::f32, true);
  return scales_;
}

Tensor UnetBlocks::add_scaled(Tensor x, Port port, Type type, int scale) {
  Elementwise op;
  op.x = x;
  op.x2 = plan().external(port, x.shape, type);
  op.scale = scales();
  op.scale_offset = scale;
  op.y = plan().temporary(x.shape);
  plan().add(op);
  return op.y;
}

// diffusers: blocks that read the context take it before their downsampler, the others behind it.
Shape block_feature_shape(const UnetConfig& config, const UnetShape& shape, int level) {
  const int last = config.levels() - 1;
  const bool is_smaller = level < last && !config.down[level].reads_context();
  Shape out = unet_level_shape(config, shape, std::min(is_smaller ? level + 1 : level, last));
  out.c = config.channels[std::min(level, last)];
  return out;
}

Tensor UnetBlocks::with_residuals(Tensor x, int skip) {
  for (int network = 0; network < shape_.extras.residuals; ++network) {
    const int place = residual_port(config_, network, skip);
    x = add_scaled(x, {PortKind::residual, place}, Type::activation, place);
  }
  return x;
}

Tensor UnetBlocks::with_feature(Tensor x, int level) {
  if (level >= shape_.extras.block_features) return x;
  return add_scaled(x, {PortKind::block_feature, level}, Type::f32,
                    residual_port(config_, shape_.extras.residuals, 0));
}

}  // namespace deepcache

#include "controlnet.h"

#include "../runtime/checked.h"
#include "unet_blocks.h"

namespace deepcache {
namespace {

std::string mark_behind(int skip) { return numbered("skip", skip); }

Tensor hint_of(const UnetConfig& config, Recorder& record, Tensor x) {
  const std::string name = "controlnet_cond_embedding";
  const auto conv = [&](const std::string& layer, int out, int stride) {
    x = record.conv(x, name + layer,
                    {.out = out, .kernel = 3, .stride = stride, .activation = Activation::silu});
  };
  const std::vector<int>& channels = config.control->hint_channels;
  conv(".conv_in", channels[0], 1);
  for (size_t i = 0; i + 1 < channels.size(); ++i) {
    conv(numbered(".blocks", int(2 * i)), channels[i], 1);
    conv(numbered(".blocks", int(2 * i + 1)), channels[i + 1], 2);
  }
  return record.conv(x, name + ".conv_out", {.out = config.channels[0], .kernel = 3});
}

}  // namespace

Plan plan_control_hint(const UnetConfig& config, int batch, int height, int width, int pictures) {
  Plan plan;
  Recorder record(plan);
  const ControlConfig& control = *config.control;
  const int scale = control.scale();
  const Shape size{batch, (Extent(scale) * height).value("a picture's height"),
                   (Extent(scale) * width).value("a picture's width"), control.image_channels};
  Tensor sum;
  for (int i = 0; i < pictures; ++i) {
    Tensor x = hint_of(config, record, plan.external({PortKind::image, i}, size));
    if (control.kinds)
      x = hint_of_kind(config, record, x,
                       plan.external({PortKind::ids, i}, {batch, 1, 1, 1}, Type::i32));
    sum = sum ? record.elementwise(sum, 1, x, 1, Activation::none) : x;
  }
  plan.make_external(sum, PortKind::hint, Type::activation);
  plan.finish();
  return plan;
}

Plan plan_controlnet(const UnetConfig& config, const UnetShape& shape) {
  Plan plan;
  const UnetLayout layout(config);
  UnetBlocks blocks(config, layout, shape, plan);
  Recorder& record = blocks.record();
  blocks.count_embeddings();
  plan.count(plan_control_hint(config, shape.batch, shape.height, shape.width).macs());
  const auto give = [&](Tensor x, const std::string& name, int skip) {
    const Tensor y = record.conv(x, name, {.out = x.shape.c, .least = Bits::sixteen});
    record.label(y, name);
    plan.make_external(y, {PortKind::residual, skip}, Type::activation);
    plan.mark(mark_behind(skip));
  };
  const Shape size{shape.batch, shape.height, shape.width, config.channels[0]};
  const Tensor hint = plan.external(PortKind::hint, size, Type::activation);
  Tensor x = blocks.conv_in(
      plan.external(PortKind::sample, {shape.batch, shape.height, shape.width, config.in_channels}),
      hint);
  int skip = 0;
  give(x, numbered("controlnet_down_blocks", skip), skip);
  for (const UnetUnit& unit : layout.down) {
    x = blocks.down(unit, x);
    ++skip;
    give(x, numbered("controlnet_down_blocks", skip), skip);
  }
  give(blocks.mid(x), "controlnet_mid_block", skip + 1);
  plan.finish();
  return plan;
}

OpRanges control_segments(const Plan& plan, const UnetConfig& config, int branch) {
  // The deepest branch's suffix begins with what is added to the mid block's output.
  if (branch == config.branches() - 1) return {plan.all()};
  return {{0, plan.find_mark(mark_behind(branch)).op}};
}

}  // namespace deepcache

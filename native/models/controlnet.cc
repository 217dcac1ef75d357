#include "controlnet.h"

#include <algorithm>

#include "../runtime/checked.h"
#include "../runtime/error.h"
#include "unet_blocks.h"

namespace deepcache {
namespace {

// Of the heads whose values are averaged; any width is right.
constexpr int kMeanWidth = 64;

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

// Each sample's mean over its pixels, in the place of each of them (global_pool_conditions):
// attention by which all pixels count the same, whatever the query is.
Tensor mean_of_pixels(Recorder& record, Tensor x) {
  const Shape size = x.shape;
  const int pixels = size.h * size.w;
  Attention op;
  op.q = op.k = op.v = x;
  op.scale = 0;
  op.head_width = std::min(size.c, kMeanWidth);
  while (size.c % op.head_width) --op.head_width;
  op.heads = size.c / op.head_width;
  op.outer = size.n;
  op.query = {1, 1, 1, 0};
  op.key = {pixels, 1, pixels, 0};
  op.y = record.plan().temporary({size.n, 1, 1, size.c});
  record.plan().add(op);
  return record.elementwise({.x = x, .x2 = op.y, .a = 0, .repeat = pixels});
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
    Tensor y = record.conv(x, name, {.out = x.shape.c, .least = Bits::sixteen});
    record.label(y, name);
    if (config.control->global_pool) y = mean_of_pixels(record, y);
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

void require_control_fits(const UnetConfig& network, const UnetConfig& unet) {
  const auto fail = [](const std::string& what) {
    throw Error(ErrorCode::kInvalidArgument, "is no ControlNet for this U-Net: " + what);
  };
  const auto require_same = [&](const char* what, bool same) {
    if (!same) fail(std::string(what) + " differ");
  };
  const auto same_layers = [](const UnetBlock& a, const UnetBlock& b) {
    return a.layers == b.layers;
  };
  if (!network.control) fail("it is another network");
  if (unet.takes_videos()) fail("that makes videos");
  if (network.in_channels != unet.in_channels)
    fail("it reads " + std::to_string(network.in_channels) + " channels of the " +
         std::to_string(unet.in_channels) + " of the input");
  require_same("their block_out_channels", network.channels == unet.channels);
  require_same("their layers_per_block", std::ranges::equal(network.down, unet.down, same_layers));
  require_same("their mid blocks", network.mid.layers > 0 && unet.mid.layers > 0);
  require_same("the sizes of their levels", network.halved(1) == unet.halved(1));
  require_same("the widths of the texts that they read (cross_attention_dim)",
               network.context_width == unet.context_width);
  require_same("the conditions that join their time embeddings",
               network.embeddings == unet.embeddings &&
                   network.time_cond_width == unet.time_cond_width &&
                   network.addition_input_width == unet.addition_input_width &&
                   (!unet.text_time() || network.addition_time_width == unet.addition_time_width));
}

OpRanges control_segments(const Plan& plan, const UnetConfig& config, int branch) {
  // The deepest branch's suffix begins with what is added to the mid block's output.
  if (branch == config.branches() - 1) return {plan.all()};
  return {{0, plan.find_mark(mark_behind(branch)).op}};
}

}  // namespace deepcache

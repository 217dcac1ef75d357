#include "unet_plan.h"

#include <algorithm>
#include <optional>

#include "../runtime/checked.h"
#include "../runtime/error.h"
#include "recorder.h"
#include "unet_blocks.h"

namespace deepcache {
namespace {

// Where the prefix of a branch ends, and where its suffix begins.
std::string prefix_mark(int branch) { return numbered("prefix", branch); }
std::string suffix_mark(int branch) { return numbered("suffix", branch); }
// Behind what a suffix begins with where its feature is forecast: full passes leave that out.
std::string forecast_mark(int branch) { return numbered("forecast", branch); }

// A feature's externals beside it.
struct Forecast {
  Tensor feature, kept, change;
  Forecast(Plan& plan, Tensor x, int branch)
      : feature(x),
        kept(plan.external({PortKind::kept_feature, branch}, x.shape, Type::activation)),
        // Between two 16-bit values may be more than 16 bits hold.
        change(plan.external({PortKind::feature_change, branch}, x.shape, Type::f32)) {}
};

// y = x + b * scale * x2
void add_sum(Plan& plan, Tensor y, Tensor x, Tensor x2, float b, Tensor scale = {}) {
  Elementwise op;
  op.y = y;
  op.x = x;
  op.x2 = x2;
  op.b = b;
  op.scale = scale;
  plan.add(op);
}

}  // namespace

Plan plan_unet(const UnetConfig& config, const UnetShape& shape, const std::vector<int>& features) {
  if (shape.windows && !config.motion)
    throw Error(ErrorCode::kInvalidArgument,
                "windows of frames are for U-Nets with motion modules");
  if (config.motion && shape.seen_frames() > config.motion->max_frames)
    throw Error(ErrorCode::kInvalidArgument,
                (shape.windows ? "a window of " : "a video of ") +
                    std::to_string(shape.seen_frames()) +
                    " frames is longer than the motion modules take (" +
                    std::to_string(config.motion->max_frames) + ")");
  check_attention_uses(config, shape);
  Plan plan;
  const UnetLayout layout(config);
  UnetBlocks blocks(config, layout, shape, plan);
  const int layers = config.branches();
  blocks.count_embeddings();
  Tensor x = blocks.conv_in(plan.external(
      PortKind::sample, {shape.batch, shape.height, shape.width, config.in_channels}));
  std::vector<Tensor> skips = {x};
  plan.mark(prefix_mark(0));
  for (int unit = 0; unit < layers - 1; ++unit) {
    skips.push_back(x = blocks.down(layout.down[unit], x));
    plan.mark(prefix_mark(unit + 1));
  }
  x = blocks.with_feature(blocks.mid(x), config.levels());
  // Without a mid block the deepest feature is a skip, too, which the prefix of its branch computes
  // anew: the cache keeps a copy.
  const bool keeps_deepest =
      std::find(features.begin(), features.end(), layers - 1) != features.end();
  if (keeps_deepest && x.id == skips.back().id) x = blocks.copy(x);
  Tensor gamma;
  if (shape.extras.forecasts)
    gamma = plan.external(PortKind::feature_gamma, {shape.batch, 1, 1, 1}, Type::f32, true);
  for (int branch = layers - 1; branch >= 0; --branch) {
    std::optional<Forecast> forecast;
    if (std::find(features.begin(), features.end(), branch) != features.end()) {
      plan.make_external(x, {PortKind::feature, branch}, Type::activation);
      if (gamma) forecast.emplace(plan, x, branch);
    }
    if (forecast) {
      add_sum(plan, forecast->change, x, forecast->kept, -1);
      add_sum(plan, forecast->kept, x, {}, 0);
    }
    plan.mark(suffix_mark(branch));
    if (forecast) {
      add_sum(plan, x, forecast->kept, forecast->change, 1, gamma);
      plan.mark(forecast_mark(branch));
    }
    // Behind the feature: a retrieve step adds it anew, as it does to the skips.
    if (branch == layers - 1) x = blocks.with_residuals(x, layers);
    x = blocks.up(layout.up[layers - 1 - branch], x, blocks.with_residuals(skips[branch], branch),
                  branch ? skips[branch - 1] : Tensor{});
  }
  blocks.out(x);
  plan.finish();
  return plan;
}

OpRanges full_segments(const Plan& plan) {
  OpRanges out;
  int next = 0;
  // The features in the order of their suffixes.
  for (const External& external : plan.externals()) {
    if (external.port.kind != PortKind::kept_feature) continue;
    const int branch = external.port.index;
    out.push_back({next, plan.find_mark(suffix_mark(branch)).op});
    next = plan.find_mark(forecast_mark(branch)).op;
  }
  out.push_back({next, plan.all().last});
  return out;
}

OpRanges retrieve_segments(const Plan& plan, int branch) {
  return {{0, plan.find_mark(prefix_mark(branch)).op},
          {plan.find_mark(suffix_mark(branch)).op, plan.all().last}};
}

int pooled_text_width(const UnetConfig& config, int time_ids) {
  const int64_t width =
      config.addition_input_width - int64_t(time_ids) * config.addition_time_width;
  if (time_ids < 1 || (config.video ? width != 0 : width < 1))
    throw Error(ErrorCode::kInvalidArgument,
                std::to_string(time_ids) + " time ids do not fit this U-Net (embeddings of " +
                    std::to_string(config.addition_time_width) + ", " +
                    std::to_string(config.addition_input_width) + " in all)");
  return int(width);
}

Shape unet_level_shape(const UnetConfig& config, const UnetShape& shape, int level) {
  int height = shape.height, width = shape.width;
  for (int i = 0; i < level; ++i) {
    height = config.halved(height);
    width = config.halved(width);
  }
  return {shape.batch, height, width, 1};
}

}  // namespace deepcache

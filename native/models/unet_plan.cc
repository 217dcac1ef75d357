#include "unet_plan.h"

#include <algorithm>

#include "../runtime/checked.h"
#include "../runtime/error.h"
#include "recorder.h"
#include "unet_blocks.h"

namespace deepcache {
namespace {

// Where the prefix of a branch ends, and where its suffix begins.
std::string prefix_mark(int branch) { return numbered("prefix", branch); }
std::string suffix_mark(int branch) { return numbered("suffix", branch); }

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
  for (int branch = layers - 1; branch >= 0; --branch) {
    plan.mark(suffix_mark(branch));
    if (std::find(features.begin(), features.end(), branch) != features.end())
      plan.make_external(x, {PortKind::feature, branch}, Type::activation);
    // Behind the feature: a retrieve step adds it anew, as it does to the skips.
    if (branch == layers - 1) x = blocks.with_residuals(x, layers);
    x = blocks.up(layout.up[layers - 1 - branch], x, blocks.with_residuals(skips[branch], branch),
                  branch ? skips[branch - 1] : Tensor{});
  }
  blocks.out(x);
  plan.finish();
  return plan;
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

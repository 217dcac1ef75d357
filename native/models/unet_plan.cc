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

// diffusers: TransformerSpatioTemporalModel.time_pos_embed of the frames' numbers.
void plan_positions(const UnetConfig& config, int frames, const UnetLayout& layout,
                    Recorder& record) {
  Plan& plan = record.plan();
  const Tensor numbers = plan.external(PortKind::frames, {1, 1, frames, 1});
  for (size_t i = 0; i < layout.positions.size(); ++i) {
    const auto& [name, channels] = layout.positions[i];
    TimestepEmbedding op;
    op.x = numbers;
    op.y = plan.temporary({1, 1, frames, channels});
    op.dim = channels;
    op.flip_sin_to_cos = config.flip_sin_to_cos;
    op.freq_shift = config.freq_shift;
    plan.add(op);
    Tensor x = record.conv(op.y, name + ".time_pos_embed.linear_1",
                           {.out = 4 * channels, .activation = Activation::silu, .linear = true});
    x = record.conv(x, name + ".time_pos_embed.linear_2", {.out = channels, .linear = true});
    plan.make_external(x, {PortKind::position, int(i)}, Type::activation);
  }
}

void plan_motion_positions(const UnetConfig& config, int frames, const UnetLayout& layout,
                           Recorder& record) {
  const Tensor numbers = record.plan().external(PortKind::ids, {1, 1, frames, 1}, Type::i32);
  for (size_t i = 0; i < layout.positions.size(); ++i) {
    const auto& [name, channels] = layout.positions[i];
    const Tensor x = motion_positions(record, name, numbers, channels, config.motion->max_frames);
    record.plan().make_external(x, {PortKind::position, int(i)}, Type::activation);
  }
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
  Plan plan;
  const UnetLayout layout(config);
  UnetBlocks blocks(config, layout, shape, plan);
  const int layers = config.branches();
  blocks.count_time_embedding();
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

Plan plan_unet_context(const UnetConfig& config, int batch, int length) {
  UnetShape shape;
  shape.batch = batch;
  shape.context_length = length;
  return plan_unet_context(config, shape);
}

Plan plan_unet_context(const UnetConfig& config, const UnetShape& shape) {
  Plan plan;
  Recorder record(plan);
  const int batch = shape.batch / shape.samples_of_condition(config);
  const int length = shape.context_length;
  if (config.context_width == 0) {
    plan.finish();
    return plan;
  }
  // A copy in the type of activations: dozens of products read it, and those of GPUs take fp32
  // inputs one value at a time.
  const auto input = [&](Port port, int tokens) {
    const Tensor given = plan.external(port, {batch, 1, tokens, config.context_width});
    return record.elementwise(given, 1, {}, 0, Activation::none);
  };
  const Tensor text = input(PortKind::text, length);
  const UnetLayout layout(config);
  std::vector<Tensor> interleaved(config.levels());
  const auto source = [&](const UnetLayout::Context& attention) {
    if (!attention.temporal || !shape.interleaves_contexts()) return text;
    Tensor& spread = interleaved[attention.level];
    if (!spread) {
      const Shape size = unet_level_shape(config, shape, attention.level);
      const Extent tokens = Extent(size.h) * size.w * length;
      spread = input({PortKind::level_text, attention.level},
                     tokens.value("the contexts of a video's pixels"));
    }
    return spread;
  };
  for (size_t i = 0; i < layout.contexts.size(); ++i) {
    const auto& attention = layout.contexts[i];
    const Tensor y =
        record.linears(source(attention), {attention.name + ".to_k", attention.name + ".to_v"},
                       {attention.channels, attention.channels}, false);
    plan.make_external(y, {PortKind::context, int(i)}, Type::activation);
  }
  if (config.motion)
    plan_motion_positions(config, shape.seen_frames(), layout, record);
  else if (!layout.positions.empty())
    plan_positions(config, shape.frames, layout, record);
  plan.finish();
  return plan;
}

Plan plan_unet_time(const UnetConfig& config, int rows, int samples, int time_ids) {
  Plan plan;
  Recorder record(plan);
  const int width = config.time_width();
  const auto embed = [&](Tensor x, Shape shape, int dim) {
    TimestepEmbedding op;
    op.x = x;
    op.y = plan.temporary(shape);
    op.dim = dim;
    op.flip_sin_to_cos = config.flip_sin_to_cos;
    op.freq_shift = config.freq_shift;
    plan.add(op);
    return op.y;
  };
  const Tensor timesteps = plan.external(PortKind::timesteps, {1, 1, rows, 1});
  Tensor x = embed(timesteps, {1, 1, rows, config.channels[0]}, config.channels[0]);
  record.label(x, "time_proj");
  if (config.time_cond_width) {
    const Tensor given =
        plan.external(PortKind::timestep_cond, {samples, 1, 1, config.time_cond_width});
    const Tensor cond = record.conv(given, "time_embedding.cond_proj",
                                    {.out = config.channels[0], .bias = false, .linear = true});
    x = record.elementwise(x, 1, cond, 1, Activation::none);
  }
  x = record.conv(x, "time_embedding.linear_1",
                  {.out = width, .activation = Activation::silu, .linear = true});
  x = record.conv(x, "time_embedding.linear_2", {.out = width, .linear = true});
  record.label(x, "time_embedding");
  if (config.control && config.control->kinds) {
    const int count = config.control->kinds->count, dim = config.addition_time_width;
    Tensor kinds = embed(plan.external(PortKind::control_kinds, {1, 1, count, 1}),
                         {1, 1, 1, (Extent(count) * dim).value("kinds of pictures")}, dim);
    kinds = record.conv(kinds, "control_add_embedding.linear_1",
                        {.out = width, .activation = Activation::silu, .linear = true});
    kinds = record.conv(kinds, "control_add_embedding.linear_2", {.out = width, .linear = true});
    x = record.elementwise(x, 1, kinds, 1, Activation::none);
  }
  Tensor added;
  if (config.has_time_ids()) {
    // [pooled text, sinusoids of each size] per sample; diffusers: get_aug_embed.
    const int ids_width = config.addition_time_width;
    const int pooled = pooled_text_width(config, time_ids);
    Tensor sizes = embed(plan.external(PortKind::time_ids, {samples, 1, time_ids, 1}),
                         {samples, 1, 1, time_ids * ids_width}, ids_width);
    record.label(sizes, "add_time_proj");
    if (config.text_time) {
      Concat join;
      join.x = plan.external(PortKind::text_embeds, {samples, 1, 1, pooled});
      join.x2 = sizes;
      join.y = plan.temporary({samples, 1, 1, config.addition_input_width});
      plan.add(join);
      sizes = join.y;
    }
    added = record.conv(sizes, "add_embedding.linear_1",
                        {.out = width, .activation = Activation::silu, .linear = true});
    added = record.conv(added, "add_embedding.linear_2", {.out = width, .linear = true});
    record.label(added, "add_embedding");
  }
  x = record.elementwise(x, 1, added, 1, Activation::silu);
  const UnetLayout layout(config);
  std::vector<std::string> names;
  std::vector<int> outs;
  for (const UnetResnet* resnet : layout.resnets()) {
    names.push_back(resnet->name + ".time_emb_proj");
    outs.push_back(resnet->channels);
  }
  const Tensor time = record.linears(x, names, outs, true);
  plan.make_external(time, PortKind::time);
  plan.finish();
  return plan;
}

}  // namespace deepcache

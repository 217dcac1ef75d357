// Keys and values of a U-Net's cross attentions, which depend on the prompt only.

#include "../runtime/checked.h"
#include "bounds.h"
#include "recorder.h"
#include "unet_layout.h"
#include "unet_plan.h"

namespace deepcache {
namespace {

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

// What cross-attention reads (diffusers: encoder_hid_proj; TextImageProjection, ImageProjection).
Tensor project_contexts(const UnetConfig& config, Tensor text, Tensor image, Recorder& record) {
  const std::string name = "encoder_hid_proj";
  const int width = config.context_width;
  const UnetContexts kind = config.embeddings.contexts;
  if (kind == UnetContexts::text) return text;
  Tensor tokens;
  if (image) {
    const int count = config.context_tokens(0);
    const Extent out = Extent(count) * width;
    tokens = record.conv(image, name + ".image_embeds",
                         {.out = out.value("the tokens of an image"), .linear = true});
    tokens.shape = {image.shape.n, 1, count, width};
  }
  if (kind == UnetContexts::image_proj) {
    tokens = record.layer_norm(tokens, name + ".norm");
  } else {
    const std::string projection = image ? name + ".text_proj" : name;
    text = record.conv(text, projection, {.out = width, .linear = true});
    tokens = image ? record.token_concat(tokens, text) : text;
  }
  record.label(tokens, name);
  return tokens;
}

// cross_attention_norm
Tensor normed_context(const UnetConfig& config, const std::string& attention, Tensor x,
                      Recorder& record) {
  const std::string name = attention + ".norm_cross";
  if (config.norm_contexts_by_token) return record.layer_norm(x, name);
  return record.group_norm(x, name, {.groups = bounds::kNormGroups});
}

}  // namespace

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
    plan.mark(kContextMark);
    plan.finish();
    return plan;
  }
  // A copy in the type of activations: dozens of products read it, and those of GPUs take fp32
  // inputs one value at a time.
  const auto input = [&](Port port, int tokens, int width) {
    const Tensor given = plan.external(port, {batch, 1, tokens, width});
    return record.elementwise(given, 1, {}, 0, Activation::none);
  };
  const UnetEmbeddings& embeddings = config.embeddings;
  Tensor text, image;
  if (embeddings.reads_text()) text = input(PortKind::text, length, config.text_width());
  if (embeddings.contexts == UnetContexts::text_image_proj ||
      embeddings.contexts == UnetContexts::image_proj)
    image = input(PortKind::image_embeds, 1, config.image_width());
  text = project_contexts(config, text, image, record);
  plan.mark(kContextMark);
  const UnetLayout layout(config);
  std::vector<Tensor> interleaved(config.levels());
  const auto source = [&](const UnetLayout::Context& attention) {
    if (!attention.temporal || !shape.interleaves_contexts()) return text;
    Tensor& spread = interleaved[attention.level];
    if (!spread) {
      const Shape size = unet_level_shape(config, shape, attention.level);
      const Extent tokens = Extent(size.h) * size.w * length;
      spread = input({PortKind::level_text, attention.level},
                     tokens.value("the contexts of a video's pixels"), config.context_width);
    }
    return spread;
  };
  for (size_t i = 0; i < layout.contexts.size(); ++i) {
    const auto& attention = layout.contexts[i];
    const bool added = attention.kind == UnetLayout::Context::Kind::added_kv;
    Tensor x = source(attention);
    if (added && config.norm_contexts) x = normed_context(config, attention.name, x, record);
    const Tensor y = record.linears(
        x,
        added ? std::vector{attention.name + ".add_k_proj", attention.name + ".add_v_proj"}
              : std::vector{attention.name + ".to_k", attention.name + ".to_v"},
        {attention.channels, attention.channels}, added);
    plan.make_external(y, {PortKind::context, int(i)}, Type::activation);
  }
  if (config.motion)
    plan_motion_positions(config, shape.seen_frames(), layout, record);
  else if (!layout.positions.empty())
    plan_positions(config, shape.frames, layout, record);
  plan.finish();
  return plan;
}

}  // namespace deepcache

#include "unet_blocks.h"

#include "attention_block.h"

namespace deepcache {

// Of the resnets of diffusers' attending down blocks and all up blocks of videos.
static constexpr float kVideoEpsilon = 1e-6f;

UnetBlocks::UnetBlocks(const UnetConfig& config, const UnetLayout& layout, const UnetShape& shape,
                       Plan& plan)
    : config_(config), layout_(layout), shape_(shape), record_(plan) {
  time_ =
      plan.external(PortKind::time, {shape.time_rows, 1, 1, layout.time_total()}, Type::f32, true);
}

void UnetBlocks::count_time_embedding() {
  const int width = config_.time_width(), rows = config_.video ? shape_.videos() : shape_.batch;
  record_.count_linear(rows, config_.channels[0], width, true);
  record_.count_linear(rows, width, width, true);
  if (config_.time_cond_width)
    record_.count_linear(rows, config_.time_cond_width, config_.channels[0], false);
  if (!config_.has_time_ids()) return;
  record_.count_linear(rows, config_.addition_input_width, width, true);
  record_.count_linear(rows, width, width, true);
}

Tensor UnetBlocks::conv_in(Tensor sample) {
  const Tensor x = record_.conv(sample, "conv_in", {.out = config_.channels[0], .kernel = 3});
  record_.label(x, "conv_in");
  return x;
}

Tensor UnetBlocks::down_unit(int unit, Tensor x) {
  const UnetLayout::Place& place = layout_.down[unit];
  const std::string block = numbered("down_blocks", place.block);
  if (place.layer == config_.layers) {
    x = downsample(block + ".downsamplers.0", x);
  } else {
    const bool fine = config_.video && config_.down_attends[place.level];
    x = resnet(numbered(block + ".resnets", place.layer), x, {}, config_.channels[place.level],
               fine ? kVideoEpsilon : config_.epsilon);
    if (place.attends) x = attention(numbered(block + ".attentions", place.layer), x, place.level);
  }
  record_.label(x, block + ".res" + std::to_string(place.layer));
  const bool last =
      unit + 1 == int(layout_.down.size()) || layout_.down[unit + 1].block != place.block;
  if (last) record_.label(x, block + ".0");
  return x;
}

Tensor UnetBlocks::mid(Tensor x) {
  const int level = config_.levels() - 1, channels = config_.channels[level];
  for (int i = 0; i < config_.mid_resnets; ++i) {
    x = resnet(numbered("mid_block.resnets", i), x, {}, channels, config_.epsilon);
    if (i == 0 && config_.mid_attends) x = attention("mid_block.attentions.0", x, level);
  }
  if (config_.mid_resnets > 0) record_.label(x, "mid_block");
  return x;
}

Tensor UnetBlocks::up_layer(int layer, Tensor x, Tensor skip, Tensor next_skip) {
  const UnetLayout::Place& place = layout_.up[layer];
  const std::string block = numbered("up_blocks", place.block);
  x = resnet(numbered(block + ".resnets", place.layer), x, skip, config_.channels[place.level],
             config_.video ? kVideoEpsilon : config_.epsilon);
  if (place.attends) x = attention(numbered(block + ".attentions", place.layer), x, place.level);
  if (place.layer < config_.layers) return x;
  if (place.level > 0) {
    x = upsample(block + ".upsamplers.0", x, next_skip.shape);
  }
  record_.label(x, block);
  return x;
}

void UnetBlocks::out(Tensor x) {
  x = record_.group_norm(x, "conv_norm_out", norm({}, config_.epsilon));
  x = record_.conv(x, "conv_out", {.out = config_.out_channels, .kernel = 3});
  record_.label(x, "conv_out");
  plan().make_external(x, PortKind::out);
}

GroupNormOptions UnetBlocks::norm(Tensor x2, float epsilon) const {
  return {.groups = config_.groups,
          .epsilon = epsilon,
          .silu = true,
          .x2 = x2,
          .counted = config_.norms_counted};
}

Tensor UnetBlocks::downsample(const std::string& name, Tensor x) {
  if (config_.resample_with_conv)
    x = record_.conv(
        x, name + ".conv",
        {.out = x.shape.c, .kernel = 3, .stride = 2, .pad_end_only = config_.pad_end_only});
  else
    x = record_.resample(x, {1, config_.halved(x.shape.h), config_.halved(x.shape.w)});
  record_.label(x, name);
  return x;
}

Tensor UnetBlocks::upsample(const std::string& name, Tensor x, const Shape& to) {
  if (config_.resample_with_conv)
    x = record_.conv(x, name + ".conv", {.out = x.shape.c, .kernel = 3, .upsample_to = to});
  else
    x = record_.resample(x, to);
  record_.label(x, name);
  return x;
}

Tensor UnetBlocks::attention(const std::string& name, Tensor x, int level) {
  if (config_.attention == UnetAttention::transformer) return transformer(name, x, level);
  return attention_block(record_, name, x,
                         {.groups = config_.groups,
                          .epsilon = config_.epsilon,
                          .heads = config_.heads[level],
                          .linear = config_.linear_projection});
}

Tensor UnetBlocks::resnet(const std::string& name, Tensor x, Tensor skip, int channels,
                          float epsilon) {
  if (!config_.video) return image_resnet(name, x, skip, channels, epsilon);
  // diffusers: SpatioTemporalResBlock.
  x = image_resnet(name + ".spatial_res_block", x, skip, channels, epsilon);
  const std::string temporal = name + ".temporal_res_block";
  record_.count_linear(shape_.batch, config_.time_width(), channels, true);
  x = temporal_resnet(record_, temporal, x,
                      {.frames = shape_.frames,
                       .groups = config_.groups,
                       .epsilon = epsilon,
                       .share = 1 - first_share(record_, config_.mix_factors, name),
                       .row = time_,
                       .row_offset = layout_.place_of(temporal)});
  record_.label(x, name);
  return x;
}

Tensor UnetBlocks::image_resnet(const std::string& name, Tensor x, Tensor skip, int channels,
                                float epsilon) {
  Tensor h = record_.group_norm(x, name + ".norm1", norm(skip, epsilon));
  h = record_.conv(
      h, name + ".conv1",
      {.out = channels, .kernel = 3, .row = time_, .row_offset = layout_.place_of(name)});
  record_.count_linear(shape_.batch, config_.time_width(), channels, true);
  h = record_.group_norm(h, name + ".norm2", norm({}, epsilon));
  const int in = x.shape.c + (skip ? skip.shape.c : 0);
  Tensor residual = x;
  if (in != channels) {
    residual = record_.conv(x, name + ".conv_shortcut", {.out = channels, .x2 = skip});
  } else if (skip) {
    Concat join;
    join.x = x;
    join.x2 = skip;
    residual = join.y = plan().temporary({x.shape.n, x.shape.h, x.shape.w, in});
    plan().add(join);
  }
  h = record_.conv(h, name + ".conv2", {.out = channels, .kernel = 3, .residual = residual});
  record_.label(h, name);
  return h;
}

Tensor UnetBlocks::transformer(const std::string& name, Tensor x, int level) {
  const int channels = x.shape.c;
  Tensor h = record_.group_norm(x, name + ".norm", {.groups = config_.groups, .epsilon = 1e-6f});
  h = record_.conv(h, name + ".proj_in", {.out = channels, .linear = config_.linear_projection});
  const int heads = config_.heads[level];
  const Tensor positions = config_.video ? frame_positions(name, channels) : Tensor{};
  const float share = config_.video ? first_share(record_, config_.mix_factors, name) : 1;
  for (int i = 0; i < config_.depth[level]; ++i) {
    h = transformer_block(numbered(name + ".transformer_blocks", i), h, heads);
    if (config_.video)
      h = temporal_block(numbered(name + ".temporal_transformer_blocks", i), h, positions, heads,
                         share);
  }
  h = record_.conv(h, name + ".proj_out",
                   {.out = channels, .residual = x, .linear = config_.linear_projection});
  record_.label(h, name);
  return h;
}

// Each sample for itself, or all frames with the keys and values of the first.
Sequences UnetBlocks::self_sequences(const Shape& x) const {
  const int pixels = x.h * x.w, frames = config_.video ? 1 : shape_.frames;
  return {
      x.n / frames, frames, {pixels, 1, frames * pixels, pixels}, {pixels, 1, frames * pixels, 0}};
}

// diffusers: BasicTransformerBlock. Self attention, cross attention, GEGLU, each with its residual.
Tensor UnetBlocks::transformer_block(const std::string& name, Tensor x, int heads) {
  const int channels = x.shape.c, width = channels / heads;
  Tensor h = record_.layer_norm(x, name + ".norm1");
  record_.label(h, name + ".norm1");
  const std::string self = name + ".attn1", cross = name + ".attn2";
  const Tensor qkv = record_.linears(h, {self + ".to_q", self + ".to_k", self + ".to_v"},
                                     {channels, channels, channels}, false);
  h = record_.attention(qkv, 0, qkv, channels, qkv, 2 * channels, heads, width,
                        self_sequences(x.shape));
  x = record_.conv(h, self + ".to_out.0", {.out = channels, .residual = x, .linear = true});

  h = record_.layer_norm(x, name + ".norm2");
  record_.label(h, name + ".norm2");
  const Tensor q =
      record_.conv(h, cross + ".to_q", {.out = channels, .bias = false, .linear = true});
  // A context for each sample, or for each video.
  const int shared = config_.video ? shape_.frames : 1, length = shape_.context_length;
  const int pixels = x.shape.h * x.shape.w;
  const Sequences sequences{
      shape_.batch / shared, shared, {pixels, 1, shared * pixels, pixels}, {length, 1, length, 0}};
  const Tensor kv =
      plan().external({PortKind::context, layout_.place_of(cross)},
                      {shape_.batch / shared, 1, length, 2 * channels}, Type::activation);
  const double tokens = double(shape_.batch) * length;
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_k
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_v
  h = record_.attention(q, 0, kv, 0, kv, channels, heads, width, sequences);
  x = record_.conv(h, cross + ".to_out.0", {.out = channels, .residual = x, .linear = true});

  h = record_.layer_norm(x, name + ".norm3");
  record_.label(h, name + ".norm3");
  h = record_.conv(h, name + ".ff.net.0.proj",
                   {.out = 4 * channels, .activation = Activation::geglu, .linear = true});
  x = record_.conv(h, name + ".ff.net.2", {.out = channels, .residual = x, .linear = true});
  record_.label(x, name);
  return x;
}

}  // namespace deepcache

#include "unet_blocks.h"

#include "attention_block.h"

namespace deepcache {

UnetBlocks::UnetBlocks(const UnetConfig& config, const UnetLayout& layout, const UnetShape& shape,
                       Plan& plan)
    : config_(config), layout_(layout), shape_(shape), record_(plan, true) {
  time_ =
      plan.external(PortKind::time, {shape.time_rows, 1, 1, layout.time_width}, Type::f32, true);
}

void UnetBlocks::count_time_embedding() {
  const int width = config_.time_width(),
            rows = shape_.batch / shape_.samples_of_condition(config_);
  record_.count_linear(rows, config_.channels[0], width, true);
  record_.count_linear(rows, width, width, true);
  if (config_.time_cond_width)
    record_.count_linear(rows, config_.time_cond_width, config_.channels[0], false);
  if (config_.control && config_.control->kinds) {
    const int kinds = config_.control->kinds->count;
    record_.count_linear(rows, double(kinds) * config_.addition_time_width, width, true);
    record_.count_linear(rows, width, width, true);
  }
  if (!config_.has_time_ids()) return;
  record_.count_linear(rows, config_.addition_input_width, width, true);
  record_.count_linear(rows, width, width, true);
}

Tensor UnetBlocks::conv_in(Tensor sample, Tensor hint) {
  const Tensor x =
      record_.conv(sample, "conv_in",
                   {.out = config_.channels[0], .kernel = 3, .residual = hint, .sensitive = true});
  record_.label(x, "conv_in");
  return x;
}

Tensor UnetBlocks::layers(const UnetUnit& unit, Tensor x, Tensor skip) {
  if (unit.resnet) x = resnet(*unit.resnet, x, skip);
  if (unit.temporal_resnet) x = temporal_resnet_behind(unit, x);
  if (unit.attention) x = attention(*unit.attention, x);
  if (unit.motion) x = motion_behind(*unit.motion, x);
  return x;
}

Tensor UnetBlocks::down(const UnetUnit& unit, Tensor x) {
  x = layers(unit, x, {});
  // diffusers: blocks that attend add it behind their last layer, the others at their end.
  const bool ends_layers = unit.layer == config_.layers - 1,
             attends = config_.down_attends[unit.level];
  if (unit.resnet && ends_layers && (attends || unit.is_last)) x = with_feature(x, unit.level);
  if (!unit.resampler.empty()) x = downsample(unit.resampler, x);
  if (!unit.resampler.empty() && !attends) x = with_feature(x, unit.level);
  record_.label(x, unit.block + ".res" + std::to_string(unit.layer));
  if (unit.is_last) record_.label(x, unit.block + ".0");
  return x;
}

Tensor UnetBlocks::mid(Tensor x) {
  for (const UnetUnit& unit : layout_.mid) x = layers(unit, x, {});
  if (!layout_.mid.empty()) record_.label(x, "mid_block");
  return x;
}

Tensor UnetBlocks::up(const UnetUnit& unit, Tensor x, Tensor skip, Tensor next_skip) {
  x = layers(unit, x, skip);
  if (!unit.resampler.empty()) x = upsample(unit.resampler, x, next_skip.shape);
  if (unit.is_last) record_.label(x, unit.block);
  return x;
}

void UnetBlocks::out(Tensor x) {
  x = record_.group_norm(x, "conv_norm_out", norm({}, config_.epsilon));
  x = record_.conv(x, "conv_out", {.out = config_.out_channels, .kernel = 3, .sensitive = true});
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
    x = record_.resample(x, {1, config_.halved(x.shape.h), config_.halved(x.shape.w), x.shape.c});
  record_.label(x, name);
  return x;
}

Tensor UnetBlocks::upsample(const std::string& name, Tensor x, const Shape& to) {
  if (config_.resample_with_conv)
    x = record_.conv(x, name + ".conv", {.out = x.shape.c, .kernel = 3, .upsample_to = to});
  else
    x = record_.resample(x, {1, to.h, to.w, x.shape.c});
  record_.label(x, name);
  return x;
}

Tensor UnetBlocks::attention(const UnetAttentionLayer& layer, Tensor x) {
  if (layer.kind == UnetAttention::transformer) return transformer(layer, x);
  return attention_block(record_, layer.name, x,
                         {.groups = config_.groups,
                          .epsilon = config_.epsilon,
                          .heads = layer.heads,
                          .linear = config_.linear_projection});
}

Tensor UnetBlocks::resnet(const UnetResnet& layer, Tensor x, Tensor skip) {
  const auto& [name, channels, epsilon, time] = layer;
  Tensor h = record_.group_norm(x, name + ".norm1", norm(skip, epsilon));
  h = record_.conv(h, name + ".conv1",
                   {.out = channels, .kernel = 3, .row = time_, .row_offset = time});
  record_.count_linear(shape_.batch, config_.time_width(), channels, true);
  h = record_.group_norm(h, name + ".norm2", norm({}, epsilon));
  const int in = x.shape.c + (skip ? skip.shape.c : 0);
  Tensor residual = x;
  if (in != channels) {
    residual =
        record_.conv(x, name + ".conv_shortcut", {.out = channels, .x2 = skip, .sensitive = true});
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

Tensor UnetBlocks::transformer(const UnetAttentionLayer& layer, Tensor x) {
  const std::string& name = layer.name;
  const int channels = x.shape.c;
  const bool temporal = layer.position >= 0;
  Tensor h = record_.group_norm(x, name + ".norm", {.groups = config_.groups, .epsilon = 1e-6f});
  h = record_.conv(h, name + ".proj_in", {.out = channels, .linear = config_.linear_projection});
  const Tensor positions = temporal ? frame_positions(layer.position) : Tensor{};
  const float share = temporal ? first_share(record_, config_.mix_factors, name) : 1;
  for (size_t i = 0; i < layer.blocks.size(); ++i) {
    h = transformer_block(layer.blocks[i], h, layer.heads);
    if (temporal) h = temporal_block(layer.temporal_blocks[i], h, positions, layer.heads, share);
  }
  h = record_.conv(h, name + ".proj_out",
                   {.out = channels, .residual = x, .linear = config_.linear_projection});
  record_.label(h, name);
  return h;
}

// Each sample for itself, or all frames with the keys and values of the first.
Sequences UnetBlocks::self_sequences(const Shape& x) const {
  const int pixels = x.h * x.w, frames = shape_.frames / shape_.samples_of_condition(config_);
  return {
      x.n / frames, frames, {pixels, 1, frames * pixels, pixels}, {pixels, 1, frames * pixels, 0}};
}

// diffusers: BasicTransformerBlock. Self attention, cross attention, GEGLU, each with its residual.
Tensor UnetBlocks::transformer_block(const UnetTransformerBlock& block, Tensor x, int heads) {
  const std::string& name = block.name;
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
  const int shared = shape_.samples_of_condition(config_), length = shape_.context_length;
  const int pixels = x.shape.h * x.shape.w;
  const Sequences sequences{
      shape_.batch / shared, shared, {pixels, 1, shared * pixels, pixels}, {length, 1, length, 0}};
  const Tensor kv =
      plan().external({PortKind::context, block.context},
                      {shape_.batch / shared, 1, length, 2 * channels}, Type::activation);
  const double tokens = double(shape_.batch) * length;
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_k
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_v
  h = record_.attention(q, 0, kv, 0, kv, channels, heads, width, sequences);
  h = image_prompts(block, h, q, heads);
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

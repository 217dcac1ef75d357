#include "unet_blocks.h"

#include <algorithm>

#include "attention_block.h"
#include "unet_degraded.h"

namespace deepcache {
namespace {

// Of the norm of attentions with added keys, which no field sets.
constexpr float kAddedKvEpsilon = 1e-5f;

}  // namespace

UnetBlocks::UnetBlocks(const UnetConfig& config, const UnetLayout& layout, const UnetShape& shape,
                       Plan& plan)
    : config_(config), layout_(layout), shape_(shape), record_(plan, Bits::eight) {
  time_ =
      plan.external(PortKind::time, {shape.time_rows, 1, 1, layout.time_width}, Type::f32, true);
}

void UnetBlocks::count_embeddings() {
  const int rows = shape_.batch / shape_.samples_of_condition(config_);
  const Plan time =
      plan_unet_time(config_, rows, rows, config_.some_time_ids(), shape_.context_length);
  plan().count(time.macs({{0, time.find_mark(kTimeEmbeddingMark).op}}));
  const Plan context = plan_unet_context(config_, shape_);
  plan().count(context.macs({{0, context.find_mark(kContextMark).op}}));
}

Tensor UnetBlocks::conv_in(Tensor sample, Tensor hint) {
  if (config_.center_input) sample = record_.elementwise({.x = sample, .a = 2, .offset = -1});
  const Tensor x = record_.conv(sample, "conv_in",
                                {.out = config_.channels[0],
                                 .kernel = config_.conv_in_kernel,
                                 .residual = hint,
                                 .least = Bits::all});
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
  // diffusers: blocks that read the context add it behind their last layer, the others at their
  // end.
  const UnetBlock& block = config_.down[unit.level];
  const bool inside = block.reads_context();
  if (unit.resnet && unit.layer == block.layers - 1 && (inside || unit.is_last))
    x = with_feature(x, unit.level);
  if (unit.resampling_resnet)
    x = resnet(*unit.resampling_resnet, x, {}, -1);
  else if (!unit.resampler.empty())
    x = downsample(unit.resampler, x);
  if (!unit.resampler.empty() && !inside) x = with_feature(x, unit.level);
  record_.label(x, unit.block + ".res" + std::to_string(unit.layer));
  if (unit.is_last) record_.label(x, unit.block + ".0");
  return x;
}

Tensor UnetBlocks::mid(Tensor x) {
  for (const UnetUnit& unit : layout_.mid) x = layers(unit, x, {});
  if (!layout_.mid.empty()) record_.label(x, "mid_block");
  return x;
}

// diffusers: apply_freeu, in the two deepest up blocks.
Tensor UnetBlocks::free_u(const UnetUnit& unit, Tensor x, Tensor skip) {
  FreeU op;
  op.x = x;
  op.skip = skip;
  if (!factors_) factors_ = plan().external(PortKind::free_u, {shape_.batch, 1, 1, 4});
  op.factors = factors_;
  op.place = 2 * (config_.levels() - 1 - unit.level);
  op.y = plan().temporary({x.shape.n, x.shape.h, x.shape.w, x.shape.c + skip.shape.c});
  plan().add(op);
  return op.y;
}

Tensor UnetBlocks::up(const UnetUnit& unit, Tensor x, Tensor skip, Tensor next_skip) {
  const bool scaled = shape_.extras.free_u && config_.levels() - 1 - unit.level < 2;
  x = scaled ? layers(unit, free_u(unit, x, skip), {}) : layers(unit, x, skip);
  if (unit.resampling_resnet)
    x = resnet(*unit.resampling_resnet, x, {}, 1);
  else if (!unit.resampler.empty())
    x = upsample(unit.resampler, x, next_skip.shape);
  if (unit.is_last) record_.label(x, unit.block);
  return x;
}

void UnetBlocks::out(Tensor x) {
  x = activated_norm(x, "conv_norm_out", {}, config_.epsilon);
  x = record_.conv(
      x, "conv_out",
      {.out = config_.out_channels, .kernel = config_.conv_out_kernel, .least = Bits::all});
  record_.label(x, "conv_out");
  plan().make_external(x, PortKind::out);
}

GroupNormOptions UnetBlocks::norm(Tensor x2, float epsilon, bool silu) const {
  return {.groups = config_.groups,
          .epsilon = epsilon,
          .silu = silu,
          .x2 = x2,
          .counted = config_.norms_counted};
}

// Of the activations only SiLU is part of the norm.
Tensor UnetBlocks::activated_norm(Tensor x, const std::string& name, Tensor x2, float epsilon) {
  const bool silu = config_.act == Activation::silu;
  x = record_.group_norm(x, name, norm(x2, epsilon, silu));
  return silu ? x : record_.elementwise(x, 1, {}, 0, config_.act);
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
  if (layer.kind == UnetAttention::added_kv) return added_kv_attention(layer, x);
  return attention_block(record_, layer.name, x,
                         {.groups = config_.groups,
                          .epsilon = config_.epsilon,
                          .heads = layer.heads,
                          .linear = config_.linear_projection});
}

Tensor UnetBlocks::resnet(const UnetResnet& layer, Tensor x, Tensor skip, int resampling) {
  const std::string& name = layer.name;
  const int channels = layer.channels;
  Tensor h = activated_norm(x, name + ".norm1", skip, layer.epsilon);
  if (resampling) {
    const Shape to = resampling > 0 ? Shape{1, 2 * x.shape.h, 2 * x.shape.w, x.shape.c}
                                    : Shape{1, x.shape.h / 2, x.shape.w / 2, x.shape.c};
    h = record_.resample(h, to);
    x = record_.resample(x, to);
  }
  record_.count_linear(shape_.batch, config_.joined_time_width(), layer.time_channels, true);
  const Tensor row = config_.scale_shift ? Tensor{} : time_;
  h = record_.conv(h, name + ".conv1",
                   {.out = channels, .kernel = 3, .row = row, .row_offset = layer.time});
  if (config_.scale_shift) {
    h = record_.group_norm(h, name + ".norm2", norm({}, layer.epsilon, false));
    h = record_.elementwise(
        {.x = h, .modulation = time_, .modulation_offset = layer.time, .activation = config_.act});
  } else {
    h = activated_norm(h, name + ".norm2", {}, layer.epsilon);
  }
  const int in = x.shape.c + (skip ? skip.shape.c : 0);
  Tensor residual = x;
  if (in != channels) {
    residual = record_.conv(x, name + ".conv_shortcut",
                            {.out = channels, .x2 = skip, .least = Bits::sixteen});
  } else if (skip) {
    residual = record_.concat(x, skip);
  }
  h = record_.conv(h, name + ".conv2",
                   {.out = channels,
                    .kernel = 3,
                    .residual = residual,
                    .scale = layer.scale,
                    .residual_scale = layer.scale});
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
Sequences UnetBlocks::self_sequences(const UnetTransformerBlock& block, const Shape& x) const {
  const int pixels = x.h * x.w, frames = shape_.frames / shape_.samples_of_condition(config_);
  const bool perturbed = std::ranges::binary_search(shape_.extras.perturbed, block.context);
  return {x.n / frames,
          frames,
          {pixels, 1, frames * pixels, pixels},
          {pixels, 1, frames * pixels, 0},
          perturbed ? x.n / frames / shape_.outputs : 0};
}

Tensor UnetBlocks::cross_attention(Tensor h, const std::string& name, int context, int heads) {
  const int channels = h.shape.c;
  const Tensor q =
      record_.conv(h, name + ".to_q", {.out = channels, .bias = false, .linear = true});
  // A context for each sample, or for each video.
  const int shared = shape_.samples_of_condition(config_);
  const int length = config_.context_tokens(shape_.context_length);
  const int pixels = h.shape.h * h.shape.w;
  const Sequences sequences{
      shape_.batch / shared, shared, {pixels, 1, shared * pixels, pixels}, {length, 1, length, 0}};
  const Tensor kv = context_of(context, channels);
  const double tokens = double(shape_.batch) * length;
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_k
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_v
  h = record_.attention(q, 0, kv, 0, kv, channels, heads, channels / heads, sequences);
  return image_prompts(context, h, q, heads);
}

// Keys and values of a cross attention, from a plan of their own.
Tensor UnetBlocks::context_of(int context, int channels) {
  const int samples = shape_.batch / shape_.samples_of_condition(config_);
  return plan().external({PortKind::context, context},
                         {samples, 1, config_.context_tokens(shape_.context_length), 2 * channels},
                         Type::activation);
}

// diffusers: Attention with AttnAddedKVProcessor. The context's tokens come before the pixels.
Tensor UnetBlocks::added_kv_attention(const UnetAttentionLayer& layer, Tensor x) {
  const std::string& name = layer.name;
  const int channels = x.shape.c, width = channels / layer.heads;
  Tensor h = record_.group_norm(x, name + ".group_norm",
                                {.groups = config_.groups, .epsilon = kAddedKvEpsilon});
  Tensor kv = context_of(layer.context, channels);
  const double tokens = double(shape_.batch) * kv.shape.w;
  record_.count_linear(tokens, config_.context_width, channels, true);  // add_k_proj
  record_.count_linear(tokens, config_.context_width, channels, true);  // add_v_proj
  const Tensor q = record_.conv(h, name + ".to_q", {.out = channels, .linear = true});
  if (!layer.only_cross) {
    const Tensor own =
        record_.linears(h, {name + ".to_k", name + ".to_v"}, {channels, channels}, true);
    kv = record_.token_concat(kv, own);
  }
  h = record_.attention(q, 0, kv, 0, kv, channels, layer.heads, width);
  h = record_.conv(h, name + ".to_out.0", {.out = channels, .residual = x, .linear = true});
  record_.label(h, name);
  return h;
}

Tensor UnetBlocks::self_attention(Tensor x, const UnetTransformerBlock& block, int heads) {
  const std::string self = block.name + ".attn1";
  const int channels = x.shape.c;
  const Tensor h = record_.layer_norm(x, block.name + ".norm1");
  record_.label(h, block.name + ".norm1");
  if (block.self_context >= 0) return cross_attention(h, self, block.self_context, heads);
  const Tensor qkv = record_.linears(h, {self + ".to_q", self + ".to_k", self + ".to_v"},
                                     {channels, channels, channels}, false);
  if (shape_.extras.attention_mass && block.context == mid_self_attention(layout_).context)
    leave_attention_mass(qkv, heads);
  return record_.attention(qkv, 0, qkv, channels, qkv, 2 * channels, heads, channels / heads,
                           self_sequences(block, x.shape));
}

// diffusers: BasicTransformerBlock. Self attention, cross attention, GEGLU, each with its residual.
Tensor UnetBlocks::transformer_block(const UnetTransformerBlock& block, Tensor x, int heads) {
  const std::string& name = block.name;
  const auto& [cross, self] = shape_.extras.attention;
  x = add_attention(x, self, {PortKind::kept_self, block.context}, name + ".attn1.to_out.0",
                    [&] { return self_attention(x, block, heads); });
  x = add_attention(x, cross, {PortKind::kept_cross, block.context}, name + ".attn2.to_out.0", [&] {
    const Tensor h = record_.layer_norm(x, name + ".norm2");
    record_.label(h, name + ".norm2");
    return cross_attention(h, name + ".attn2", block.context, heads);
  });

  Tensor h = record_.layer_norm(x, name + ".norm3");
  record_.label(h, name + ".norm3");
  h = record_.conv(h, name + ".ff.net.0.proj",
                   {.out = 4 * x.shape.c, .activation = Activation::geglu, .linear = true});
  x = record_.conv(h, name + ".ff.net.2", {.out = x.shape.c, .residual = x, .linear = true});
  record_.label(x, name);
  return x;
}

}  // namespace deepcache

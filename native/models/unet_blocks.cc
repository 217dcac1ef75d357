#include "unet_blocks.h"

#include "../runtime/error.h"

namespace deepcache {
namespace {

std::string numbered(const std::string& name, int index) {
  return name + "." + std::to_string(index);
}

}  // namespace

UnetLayout::UnetLayout(const UnetConfig& config) {
  const int levels = config.levels();
  const auto add_resnet = [&](const std::string& block, int layer, int level) {
    resnets.push_back({numbered(block + ".resnets", layer), config.channels[level]});
  };
  const auto add_attention = [&](const std::string& block, int layer, int level) {
    const std::string name = numbered(block + ".attentions", layer) + ".transformer_blocks";
    for (int i = 0; i < config.depth[level]; ++i)
      cross_attentions.push_back({numbered(name, i) + ".attn2", config.channels[level]});
  };
  for (int level = 0; level < levels; ++level) {
    const std::string block = numbered("down_blocks", level);
    for (int layer = 0; layer < config.units_per_level(); ++layer) {
      const bool downsampler = layer == config.layers;
      if (downsampler && level == levels - 1) break;
      const bool attend = !downsampler && config.down_attends[level];
      down.push_back({level, level, layer, attend});
      if (!downsampler) add_resnet(block, layer, level);
      if (attend) add_attention(block, layer, level);
    }
  }
  add_resnet("mid_block", 0, levels - 1);
  add_attention("mid_block", 0, levels - 1);
  add_resnet("mid_block", 1, levels - 1);
  for (int block = 0; block < levels; ++block) {
    const int level = levels - 1 - block;
    for (int layer = 0; layer < config.units_per_level(); ++layer) {
      up.push_back({level, block, layer, config.up_attends[block]});
      add_resnet(numbered("up_blocks", block), layer, level);
      if (config.up_attends[block]) add_attention(numbered("up_blocks", block), layer, level);
    }
  }
}

int UnetLayout::time_offset(const std::string& resnet) const {
  int offset = 0;
  for (const Layer& layer : resnets) {
    if (layer.name == resnet) return offset;
    offset += layer.channels;
  }
  throw Error(ErrorCode::kInternal, "no resnet " + resnet);
}

int UnetLayout::time_total() const {
  int total = 0;
  for (const Layer& layer : resnets) total += layer.channels;
  return total;
}

int UnetLayout::context_index(const std::string& attention) const {
  for (size_t i = 0; i < cross_attentions.size(); ++i)
    if (cross_attentions[i].name == attention) return int(i);
  throw Error(ErrorCode::kInternal, "no cross attention " + attention);
}

UnetBlocks::UnetBlocks(const UnetConfig& config, const UnetLayout& layout, const UnetShape& shape,
                       Plan& plan)
    : config_(config), layout_(layout), shape_(shape), record_(plan) {
  time_ = plan.external("time", {shape.time_rows, 1, 1, layout.time_total()}, Type::f32, true);
}

void UnetBlocks::count_time_embedding() {
  const int width = config_.time_width();
  record_.count_linear(shape_.batch, config_.channels[0], width, true);
  record_.count_linear(shape_.batch, width, width, true);
  if (!config_.text_time) return;
  record_.count_linear(shape_.batch, config_.addition_input_width, width, true);
  record_.count_linear(shape_.batch, width, width, true);
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
    x = record_.conv(x, block + ".downsamplers.0.conv",
                     {.out = config_.channels[place.level], .kernel = 3, .stride = 2});
  } else {
    x = resnet(numbered(block + ".resnets", place.layer), x, {}, config_.channels[place.level]);
    if (place.attends)
      x = transformer(numbered(block + ".attentions", place.layer), x, place.level);
  }
  record_.label(x, block + ".res" + std::to_string(place.layer));
  const bool last =
      unit + 1 == int(layout_.down.size()) || layout_.down[unit + 1].block != place.block;
  if (last) record_.label(x, block + ".0");
  return x;
}

Tensor UnetBlocks::mid(Tensor x) {
  const int level = config_.levels() - 1, channels = config_.channels[level];
  x = resnet("mid_block.resnets.0", x, {}, channels);
  x = transformer("mid_block.attentions.0", x, level);
  x = resnet("mid_block.resnets.1", x, {}, channels);
  record_.label(x, "mid_block");
  return x;
}

Tensor UnetBlocks::up_layer(int layer, Tensor x, Tensor skip, Tensor next_skip) {
  const UnetLayout::Place& place = layout_.up[layer];
  const std::string block = numbered("up_blocks", place.block);
  x = resnet(numbered(block + ".resnets", place.layer), x, skip, config_.channels[place.level]);
  if (place.attends) x = transformer(numbered(block + ".attentions", place.layer), x, place.level);
  if (place.layer < config_.layers) return x;
  if (place.level > 0) {
    x = record_.conv(x, block + ".upsamplers.0.conv",
                     {.out = x.shape.c, .kernel = 3, .upsample_to = next_skip.shape});
    record_.label(x, block + ".upsamplers.0");
  }
  record_.label(x, block);
  return x;
}

void UnetBlocks::out(Tensor x) {
  x = record_.group_norm(x, "conv_norm_out",
                         {.groups = config_.groups, .epsilon = config_.epsilon, .silu = true});
  x = record_.conv(x, "conv_out", {.out = config_.out_channels, .kernel = 3});
  record_.label(x, "conv_out");
  plan().make_external(x, "out");
}

Tensor UnetBlocks::resnet(const std::string& name, Tensor x, Tensor skip, int channels) {
  const GroupNormOptions norm1{
      .groups = config_.groups, .epsilon = config_.epsilon, .silu = true, .x2 = skip};
  Tensor h = record_.group_norm(x, name + ".norm1", norm1);
  h = record_.conv(
      h, name + ".conv1",
      {.out = channels, .kernel = 3, .row = time_, .row_offset = layout_.time_offset(name)});
  record_.count_linear(shape_.batch, config_.time_width(), channels, true);
  h = record_.group_norm(h, name + ".norm2",
                         {.groups = config_.groups, .epsilon = config_.epsilon, .silu = true});
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
  for (int i = 0; i < config_.depth[level]; ++i)
    h = transformer_block(numbered(name + ".transformer_blocks", i), h, config_.heads[level]);
  h = record_.conv(h, name + ".proj_out",
                   {.out = channels, .residual = x, .linear = config_.linear_projection});
  record_.label(h, name);
  return h;
}

// diffusers: BasicTransformerBlock. Self attention, cross attention, GEGLU, each with its residual.
Tensor UnetBlocks::transformer_block(const std::string& name, Tensor x, int heads) {
  const int channels = x.shape.c, width = channels / heads;
  Tensor h = record_.layer_norm(x, name + ".norm1");
  record_.label(h, name + ".norm1");
  const std::string self = name + ".attn1", cross = name + ".attn2";
  const Tensor qkv = record_.linears(h, {self + ".to_q", self + ".to_k", self + ".to_v"},
                                     {channels, channels, channels}, false);
  h = record_.attention(qkv, 0, qkv, channels, qkv, 2 * channels, heads, width);
  x = record_.conv(h, self + ".to_out.0", {.out = channels, .residual = x, .linear = true});

  h = record_.layer_norm(x, name + ".norm2");
  record_.label(h, name + ".norm2");
  const Tensor q =
      record_.conv(h, cross + ".to_q", {.out = channels, .bias = false, .linear = true});
  const Tensor kv = plan().external("context." + std::to_string(layout_.context_index(cross)),
                                    {shape_.batch, 1, shape_.context_length, 2 * channels});
  const double tokens = double(shape_.batch) * shape_.context_length;
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_k
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_v
  h = record_.attention(q, 0, kv, 0, kv, channels, heads, width);
  x = record_.conv(h, cross + ".to_out.0", {.out = channels, .residual = x, .linear = true});

  h = record_.layer_norm(x, name + ".norm3");
  record_.label(h, name + ".norm3");
  h = record_.conv(h, name + ".ff.net.0.proj",
                   {.out = 4 * channels, .activation = Activation::geglu, .linear = true});
  x = record_.conv(h, name + ".ff.net.2", {.out = channels, .residual = x, .linear = true});
  record_.label(x, name);
  return x;
}

Shape unet_feature_shape(const UnetConfig& config, const UnetShape& shape, int branch) {
  const UnetLayout layout(config);
  const UnetLayout::Place& place = layout.up[config.branches() - 1 - branch];
  // The hidden state has the size of the layer's skip, and the channels of the layer before it.
  int height = shape.height, width = shape.width;
  for (int level = 0; level < place.level; ++level) {
    height = (height + 1) / 2;
    width = (width + 1) / 2;
  }
  const bool first_of_block = place.layer == 0;
  const int from = first_of_block ? std::min(place.level + 1, config.levels() - 1) : place.level;
  return {shape.batch, height, width, config.channels[from]};
}

UnetBranch describe_branch(const UnetConfig& config, int branch) {
  const UnetLayout layout(config);
  const int layers = config.branches(), first = layers - 1 - branch;
  UnetBranch out;
  if (first == 0) {
    out.feature = "mid_block";
  } else {
    const UnetLayout::Place& before = layout.up[first - 1];
    const std::string block = numbered("up_blocks", before.block);
    out.feature =
        before.layer == config.layers
            ? block
            : numbered(block + (before.attends ? ".attentions" : ".resnets"), before.layer);
  }
  const auto add = [&](const std::string& block, const UnetLayout::Place& place) {
    out.runs.push_back(numbered(block + ".resnets", place.layer));
    if (place.attends) out.runs.push_back(numbered(block + ".attentions", place.layer));
  };
  out.runs.push_back("conv_in");
  for (int unit = 0; unit < branch; ++unit) {
    const UnetLayout::Place& place = layout.down[unit];
    const std::string block = numbered("down_blocks", place.block);
    if (place.layer == config.layers)
      out.runs.push_back(block + ".downsamplers.0");
    else
      add(block, place);
  }
  for (int layer = first; layer < layers; ++layer) {
    const UnetLayout::Place& place = layout.up[layer];
    const std::string block = numbered("up_blocks", place.block);
    add(block, place);
    if (place.layer == config.layers && place.level > 0)
      out.runs.push_back(block + ".upsamplers.0");
  }
  out.runs.push_back("conv_norm_out+conv_out");
  return out;
}

}  // namespace deepcache

#include "unet_layout.h"

#include <algorithm>

#include "../runtime/checked.h"
#include "unet_plan.h"

namespace deepcache {
namespace {

// Of the resnets of diffusers' attending down blocks and all up blocks of videos.
constexpr float kVideoEpsilon = 1e-6f;

class Builder {
 public:
  Builder(const UnetConfig& config, UnetLayout& layout) : config_(config), layout_(layout) {}

  UnetUnit unit(const std::string& name, const UnetBlock& block, int level, int layer,
                float epsilon, bool attends) {
    UnetUnit unit{.block = name, .level = level, .layer = layer};
    unit.name = numbered(name + ".resnets", layer);
    if (config_.video) {
      unit.resnet = resnet(unit.name + ".spatial_res_block", block, level, epsilon);
      unit.temporal_resnet = resnet(unit.name + ".temporal_res_block", block, level, epsilon);
    } else {
      unit.resnet = resnet(unit.name, block, level, epsilon);
    }
    if (attends) unit.attention = attention(name, block, level, layer);
    return unit;
  }

  // Behind the attention. Those of mid blocks are counted by themselves.
  UnetMotionModule motion(const std::string& block, int level, int layer, int depth) {
    UnetMotionModule out{.name = numbered(block + ".motion_modules", layer),
                         .heads = config_.motion->heads[level],
                         .depth = depth,
                         .position = int(layout_.positions.size())};
    for (int i = 0; i < depth; ++i)
      layout_.positions.push_back(
          {numbered(out.name + ".transformer_blocks", i), config_.channels[level]});
    return out;
  }

  void resample(UnetUnit& unit, const UnetBlock& block, const std::string& name) {
    unit.resampler = name;
    if (block.resnet_resampler)
      unit.resampling_resnet = resnet(name, block, unit.level, config_.epsilon);
  }

  // Those of an activated embedding first, as each kind is one product.
  void place_times() {
    Extent time = 0;
    for (const bool act : {true, false})
      for (UnetResnet* resnet : layout_.all_resnets()) {
        if (resnet->time_act != act) continue;
        resnet->time = time.value("the width of the time projections");
        time = time + resnet->time_channels;
      }
    layout_.time_width = time.value("the width of the time projections");
  }

 private:
  UnetResnet resnet(const std::string& name, const UnetBlock& block, int level, float epsilon) {
    const int channels = config_.channels[level];
    return {.name = name,
            .channels = channels,
            .epsilon = epsilon,
            .time_channels = (config_.scale_shift ? 2 : 1) * channels,
            .time_act = block.time_act,
            .scale = 1 / block.out_scale};
  }

  // Mid blocks have one attention, whichever resnet it follows.
  UnetAttentionLayer attention(const std::string& block, const UnetBlock& of, int level,
                               int layer) {
    UnetAttentionLayer out{.name = numbered(block + ".attentions", layer),
                           .kind = of.attention,
                           .heads = of.heads,
                           .only_cross = of.only_cross};
    const int channels = config_.channels[level];
    if (out.kind == UnetAttention::added_kv) {
      out.context = int(layout_.contexts.size());
      layout_.contexts.push_back(
          {out.name, channels, level, false, UnetLayout::Context::Kind::added_kv});
    }
    if (out.kind != UnetAttention::transformer) return out;
    const auto add = [&](std::vector<UnetTransformerBlock>& to, const char* list, int i,
                         bool temporal) {
      const std::string name = numbered(out.name + list, i);
      UnetTransformerBlock block{name};
      if (of.only_cross) {
        block.self_context = int(layout_.contexts.size());
        layout_.contexts.push_back(
            {name + ".attn1", channels, level, temporal, UnetLayout::Context::Kind::self});
      }
      block.context = int(layout_.contexts.size());
      layout_.contexts.push_back({name + ".attn2", channels, level, temporal});
      to.push_back(block);
    };
    for (int i = 0; i < of.depth[size_t(layer)]; ++i) {
      add(out.blocks, ".transformer_blocks", i, false);
      if (config_.video) add(out.temporal_blocks, ".temporal_transformer_blocks", i, true);
    }
    if (config_.video) {
      out.position = int(layout_.positions.size());
      layout_.positions.push_back({out.name, channels});
    }
    return out;
  }

  const UnetConfig& config_;
  UnetLayout& layout_;
};

}  // namespace

UnetLayout::UnetLayout(const UnetConfig& config) {
  Builder builder(config, *this);
  const int levels = config.levels();
  for (int level = 0; level < levels; ++level) {
    const std::string name = numbered("down_blocks", level);
    const UnetBlock& block = config.down[level];
    const bool attends = block.attends();
    const float epsilon = config.video && attends ? kVideoEpsilon : config.epsilon;
    for (int layer = 0; layer < block.layers; ++layer) {
      down.push_back(builder.unit(name, block, level, layer, epsilon, attends));
      if (config.motion)
        down.back().motion = builder.motion(name, level, layer, config.motion->depth[level]);
    }
    if (level < levels - 1) {
      down.push_back({.block = name, .level = level, .layer = block.layers});
      builder.resample(down.back(), block, name + ".downsamplers.0");
    }
    down.back().is_last = true;
  }
  for (int i = 0; i < config.mid.layers; ++i)
    mid.push_back(builder.unit("mid_block", config.mid, levels - 1, i, config.epsilon,
                               i == 0 && config.mid.attends()));
  if (config.motion && config.motion->mid && !mid.empty())
    mid[0].motion = builder.motion("mid_block", levels - 1, 0, config.motion->mid_depth);
  for (int index = 0; index < levels && !config.control; ++index) {
    const int level = levels - 1 - index;
    const std::string name = numbered("up_blocks", index);
    const UnetBlock& block = config.up[index];
    const float epsilon = config.video ? kVideoEpsilon : config.epsilon;
    for (int layer = 0; layer < block.layers; ++layer) {
      up.push_back(builder.unit(name, block, level, layer, epsilon, block.attends()));
      if (config.motion)
        up.back().motion = builder.motion(name, level, layer, config.motion->depth[level]);
    }
    up.back().is_last = true;
    if (level > 0) builder.resample(up.back(), block, name + ".upsamplers.0");
  }
  builder.place_times();
}

std::vector<UnetResnet*> UnetLayout::all_resnets() {
  std::vector<UnetResnet*> out;
  for (auto* units : {&down, &mid, &up})
    for (UnetUnit& unit : *units)
      for (auto* resnet : {&unit.resnet, &unit.temporal_resnet, &unit.resampling_resnet})
        if (*resnet) out.push_back(&**resnet);
  return out;
}

std::vector<const UnetResnet*> UnetLayout::resnets() const {
  const auto all = const_cast<UnetLayout*>(this)->all_resnets();
  return {all.begin(), all.end()};
}

Shape unet_feature_shape(const UnetConfig& config, const UnetShape& shape, int branch) {
  const UnetLayout layout(config);
  const UnetUnit& unit = layout.up[config.branches() - 1 - branch];
  // The hidden state has the size of the layer's skip, and the channels of the layer before it.
  const Shape size = unet_level_shape(config, shape, unit.level);
  const int from = unit.layer == 0 ? std::min(unit.level + 1, config.levels() - 1) : unit.level;
  return {shape.batch, size.h, size.w, config.channels[from]};
}

UnetBranch describe_branch(const UnetConfig& config, int branch) {
  const UnetLayout layout(config);
  const int layers = config.branches(), first = layers - 1 - branch;
  UnetBranch out;
  if (first > 0) {
    const UnetUnit& before = layout.up[first - 1];
    out.feature = before.is_last ? before.block : before.last_module();
  } else {
    out.feature = layout.mid.empty() ? layout.down.back().last_module() : "mid_block";
  }
  const auto add = [&](const UnetUnit& unit) {
    if (unit.resnet) out.runs.push_back(unit.name);
    if (unit.attention) out.runs.push_back(unit.attention->name);
    if (unit.motion) out.runs.push_back(unit.motion->name);
    if (!unit.resampler.empty()) out.runs.push_back(unit.resampler);
  };
  out.runs.push_back("conv_in");
  std::for_each(layout.down.begin(), layout.down.begin() + branch, add);
  std::for_each(layout.up.begin() + first, layout.up.end(), add);
  out.runs.push_back("conv_norm_out+conv_out");
  return out;
}

}  // namespace deepcache

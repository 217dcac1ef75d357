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

  UnetUnit unit(const std::string& block, int level, int layer, float epsilon, bool attends) {
    UnetUnit unit{.block = block, .level = level, .layer = layer};
    unit.name = numbered(block + ".resnets", layer);
    if (config_.video) {
      unit.resnet = resnet(unit.name + ".spatial_res_block", level, epsilon);
      unit.temporal_resnet = resnet(unit.name + ".temporal_res_block", level, epsilon);
    } else {
      unit.resnet = resnet(unit.name, level, epsilon);
    }
    if (attends) unit.attention = attention(block, level, layer);
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

  int time_width() const { return time_.value("the width of the time projections"); }

 private:
  UnetResnet resnet(const std::string& name, int level, float epsilon) {
    const int channels = config_.channels[level], place = time_width();
    time_ = time_ + channels;
    return {name, channels, epsilon, place};
  }

  // Mid blocks have one attention, whichever resnet it follows.
  UnetAttentionLayer attention(const std::string& block, int level, int layer) {
    UnetAttentionLayer out{.name = numbered(block + ".attentions", layer),
                           .kind = config_.attention,
                           .heads = config_.heads[level]};
    if (out.kind != UnetAttention::transformer) return out;
    const int channels = config_.channels[level];
    const auto add = [&](std::vector<UnetTransformerBlock>& to, const char* list, int i,
                         bool temporal) {
      const std::string name = numbered(out.name + list, i);
      to.push_back({name, int(layout_.contexts.size())});
      layout_.contexts.push_back({name + ".attn2", channels, level, temporal});
    };
    for (int i = 0; i < config_.depth[level]; ++i) {
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
  Extent time_ = 0;
};

}  // namespace

UnetLayout::UnetLayout(const UnetConfig& config) {
  Builder builder(config, *this);
  const int levels = config.levels();
  for (int level = 0; level < levels; ++level) {
    const std::string block = numbered("down_blocks", level);
    const bool attends = config.down_attends[level];
    const float epsilon = config.video && attends ? kVideoEpsilon : config.epsilon;
    for (int layer = 0; layer < config.layers; ++layer) {
      down.push_back(builder.unit(block, level, layer, epsilon, attends));
      if (config.motion)
        down.back().motion = builder.motion(block, level, layer, config.motion->depth[level]);
    }
    if (level < levels - 1)
      down.push_back({.block = block,
                      .level = level,
                      .layer = config.layers,
                      .resampler = block + ".downsamplers.0"});
    down.back().is_last = true;
  }
  for (int i = 0; i < config.mid_resnets; ++i)
    mid.push_back(
        builder.unit("mid_block", levels - 1, i, config.epsilon, i == 0 && config.mid_attends));
  if (config.motion && config.motion->mid && !mid.empty())
    mid[0].motion = builder.motion("mid_block", levels - 1, 0, config.motion->mid_depth);
  for (int index = 0; index < levels && !config.control; ++index) {
    const int level = levels - 1 - index;
    const std::string block = numbered("up_blocks", index);
    const float epsilon = config.video ? kVideoEpsilon : config.epsilon;
    for (int layer = 0; layer < config.units_per_level(); ++layer) {
      up.push_back(builder.unit(block, level, layer, epsilon, config.up_attends[index]));
      if (config.motion)
        up.back().motion = builder.motion(block, level, layer, config.motion->depth[level]);
    }
    up.back().is_last = true;
    if (level > 0) up.back().resampler = block + ".upsamplers.0";
  }
  time_width = builder.time_width();
}

std::vector<const UnetResnet*> UnetLayout::resnets() const {
  std::vector<const UnetResnet*> out;
  for (const auto* units : {&down, &mid, &up})
    for (const UnetUnit& unit : *units)
      for (const auto* resnet : {&unit.resnet, &unit.temporal_resnet})
        if (*resnet) out.push_back(&**resnet);
  return out;
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

#include "unet_layout.h"

#include <algorithm>

#include "../runtime/checked.h"
#include "../runtime/error.h"
#include "unet_plan.h"

namespace deepcache {

UnetLayout::UnetLayout(const UnetConfig& config) {
  const int levels = config.levels();
  const auto add_resnet = [&](const std::string& block, int layer, int level) {
    const std::string name = numbered(block + ".resnets", layer);
    const int channels = config.channels[level];
    if (!config.video) {
      resnets.push_back({name, channels, level});
      return;
    }
    resnets.push_back({name + ".spatial_res_block", channels, level});
    resnets.push_back({name + ".temporal_res_block", channels, level, true});
  };
  const auto add_attention = [&](const std::string& block, int layer, int level) {
    if (config.attention != UnetAttention::transformer) return;
    const std::string name = numbered(block + ".attentions", layer);
    const int channels = config.channels[level];
    transformers.push_back({name, channels, level});
    for (int i = 0; i < config.depth[level]; ++i) {
      cross_attentions.push_back(
          {numbered(name + ".transformer_blocks", i) + ".attn2", channels, level});
      if (config.video)
        cross_attentions.push_back(
            {numbered(name + ".temporal_transformer_blocks", i) + ".attn2", channels, level, true});
    }
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
  for (int i = 0; i < config.mid_resnets; ++i) {
    add_resnet("mid_block", i, levels - 1);
    if (i == 0 && config.mid_attends) add_attention("mid_block", 0, levels - 1);
  }
  for (int block = 0; block < levels; ++block) {
    const int level = levels - 1 - block;
    for (int layer = 0; layer < config.units_per_level(); ++layer) {
      up.push_back({level, block, layer, config.up_attends[block]});
      add_resnet(numbered("up_blocks", block), layer, level);
      if (config.up_attends[block]) add_attention(numbered("up_blocks", block), layer, level);
    }
  }

  Extent total = 0;
  for (const Layer& layer : resnets) {
    places_[layer.name] = total.value("the width of the time projections");
    total = total + layer.channels;
  }
  time_total_ = total.value("the width of the time projections");
  for (const auto* layers : {&cross_attentions, &transformers})
    for (size_t i = 0; i < layers->size(); ++i) places_[(*layers)[i].name] = int(i);
}

int UnetLayout::place_of(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) throw Error(ErrorCode::kInternal, "no layer " + name);
  return found->second;
}

Shape unet_feature_shape(const UnetConfig& config, const UnetShape& shape, int branch) {
  const UnetLayout layout(config);
  const UnetLayout::Place& place = layout.up[config.branches() - 1 - branch];
  // The hidden state has the size of the layer's skip, and the channels of the layer before it.
  const Shape size = unet_level_shape(config, shape, place.level);
  const bool first_of_block = place.layer == 0;
  const int from = first_of_block ? std::min(place.level + 1, config.levels() - 1) : place.level;
  return {shape.batch, size.h, size.w, config.channels[from]};
}

UnetBranch describe_branch(const UnetConfig& config, int branch) {
  const UnetLayout layout(config);
  const int layers = config.branches(), first = layers - 1 - branch;
  UnetBranch out;
  if (first == 0 && config.mid_resnets > 0) {
    out.feature = "mid_block";
  } else if (first == 0) {
    const UnetLayout::Place& before = layout.down.back();
    out.feature = numbered(
        numbered("down_blocks", before.block) + (before.attends ? ".attentions" : ".resnets"),
        before.layer);
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

// The descriptors of a U-Net's layers agree with each other, for every format of configurations.

#include <set>

#include "config_corpus.h"
#include "models/unet_layout.h"
#include "test.h"

namespace deepcache::test {
namespace {

template <typename Check>
void for_layouts(const Check& check) {
  for (const ConfigCase& test : config_corpus()) {
    if (test.kind != ModelKind::unet) continue;
    const UnetConfig config = UnetConfig::parse(test.text);
    check(config, UnetLayout(config));
  }
}

std::vector<UnetUnit> all_units(const UnetLayout& layout) {
  std::vector<UnetUnit> units = layout.down;
  units.insert(units.end(), layout.mid.begin(), layout.mid.end());
  units.insert(units.end(), layout.up.begin(), layout.up.end());
  return units;
}

}  // namespace

TEST(layout_has_a_unit_for_each_branch) {
  for_layouts([](const UnetConfig& config, const UnetLayout& layout) {
    CHECK_EQ(int(layout.down.size()), config.branches() - 1);
    CHECK_EQ(int(layout.mid.size()), config.mid.layers);
    CHECK_EQ(int(layout.up.size()), config.branches());
    int down_blocks = 0, up_blocks = 0, downsamplers = 0, upsamplers = 0;
    for (const UnetUnit& unit : layout.down) {
      down_blocks += unit.is_last;
      downsamplers += !unit.resampler.empty();
      CHECK(unit.resnet.has_value() == unit.resampler.empty());
    }
    for (const UnetUnit& unit : layout.up) {
      up_blocks += unit.is_last;
      upsamplers += !unit.resampler.empty();
      CHECK(unit.resnet.has_value());
    }
    CHECK_EQ(down_blocks, config.levels());
    CHECK_EQ(up_blocks, config.levels());
    CHECK_EQ(downsamplers, config.levels() - 1);
    CHECK_EQ(upsamplers, config.levels() - 1);
  });
}

// Those of an activated time embedding, then the others: each kind is one product.
TEST(layout_time_projections_lie_side_by_side) {
  for_layouts([](const UnetConfig& config, const UnetLayout& layout) {
    int next = 0;
    for (const bool act : {true, false})
      for (const UnetResnet* resnet : layout.resnets()) {
        if (resnet->time_act != act) continue;
        CHECK_EQ(resnet->time, next);
        CHECK_EQ(resnet->time_channels, (config.scale_shift ? 2 : 1) * resnet->channels);
        next += resnet->time_channels;
      }
    CHECK_EQ(layout.time_width, next);
  });
}

TEST(layout_blocks_name_their_contexts) {
  for_layouts([](const UnetConfig&, const UnetLayout& layout) {
    std::set<int> contexts, positions;
    const auto find = [&](int place, const std::string& name, bool temporal) {
      const UnetLayout::Context& context = layout.contexts.at(size_t(place));
      CHECK_EQ(context.name, name);
      CHECK_EQ(context.temporal, temporal);
      CHECK(contexts.insert(place).second);
    };
    const auto check = [&](const UnetTransformerBlock& block, bool temporal) {
      find(block.context, block.name + ".attn2", temporal);
      if (block.self_context >= 0) find(block.self_context, block.name + ".attn1", temporal);
    };
    for (const UnetUnit& unit : all_units(layout)) {
      if (!unit.attention) continue;
      if (unit.attention->context >= 0) find(unit.attention->context, unit.attention->name, false);
      for (const auto& block : unit.attention->blocks) check(block, false);
      for (const auto& block : unit.attention->temporal_blocks) check(block, true);
      if (unit.attention->position < 0) continue;
      CHECK_EQ(layout.positions.at(size_t(unit.attention->position)).name, unit.attention->name);
      CHECK(positions.insert(unit.attention->position).second);
    }
    CHECK_EQ(contexts.size(), layout.contexts.size());
    CHECK_EQ(positions.size(), layout.positions.size());
  });
}

TEST(layout_has_layers_along_frames_in_videos_only) {
  int videos = 0;
  for_layouts([&](const UnetConfig& config, const UnetLayout& layout) {
    videos += config.video;
    for (const UnetUnit& unit : all_units(layout)) {
      CHECK_EQ(unit.temporal_resnet.has_value(), unit.resnet.has_value() && config.video);
      if (!unit.attention) continue;
      const size_t along = config.video ? unit.attention->blocks.size() : 0;
      CHECK_EQ(unit.attention->temporal_blocks.size(), along);
    }
  });
  CHECK_EQ(videos, 1);
}

}  // namespace deepcache::test

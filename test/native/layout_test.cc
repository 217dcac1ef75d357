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
    CHECK_EQ(int(layout.mid.size()), config.mid_resnets);
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

TEST(layout_time_projections_lie_side_by_side) {
  for_layouts([](const UnetConfig&, const UnetLayout& layout) {
    int next = 0;
    for (const UnetResnet* resnet : layout.resnets()) {
      CHECK_EQ(resnet->time, next);
      next += resnet->channels;
    }
    CHECK_EQ(layout.time_width, next);
  });
}

TEST(layout_blocks_name_their_contexts) {
  for_layouts([](const UnetConfig&, const UnetLayout& layout) {
    std::set<int> contexts, positions;
    const auto check = [&](const UnetTransformerBlock& block, bool temporal) {
      const UnetLayout::Context& context = layout.contexts.at(size_t(block.context));
      CHECK_EQ(context.name, block.name + ".attn2");
      CHECK_EQ(context.temporal, temporal);
      CHECK(contexts.insert(block.context).second);
    };
    for (const UnetUnit& unit : all_units(layout)) {
      if (!unit.attention) continue;
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

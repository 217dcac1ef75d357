#pragma once

// Where the blocks of UNet2DConditionModel lie in the network.

#include <string>
#include <unordered_map>
#include <vector>

#include "unet_config.h"

namespace deepcache {

// "name.index", as diffusers numbers modules.
inline std::string numbered(const std::string& name, int index) {
  return name + "." + std::to_string(index);
}

// Names and places of everything that a whole network has, in the order of a full pass.
struct UnetLayout {
  struct Layer {
    std::string name;
    int channels = 0;
    int level = 0;
    bool temporal = false;  // along frames
  };
  // What an up layer or down unit works on.
  struct Place {
    int level = 0;  // 0 is the finest
    int block = 0;  // index in down_blocks or up_blocks
    int layer = 0;  // in the block; == layers_per_block: the downsampler
    bool attends = false;
  };

  explicit UnetLayout(const UnetConfig& config);

  std::vector<Place> down, up;          // down units, up layers
  std::vector<Layer> resnets;           // with time projections, as "time" concatenates them
  std::vector<Layer> cross_attentions;  // attn2 of every transformer block
  std::vector<Layer> transformers;      // that hold those blocks

  // Of a cross attention or a transformer: its place in the list; of a resnet: its first channel
  // in "time".
  int place_of(const std::string& name) const;
  int time_total() const { return time_total_; }

 private:
  std::unordered_map<std::string, int> places_;
  int time_total_ = 0;
};

}  // namespace deepcache

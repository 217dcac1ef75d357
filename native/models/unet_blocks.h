#pragma once

// The building blocks of UNet2DConditionModel, and where each of them lies in the network.

#include <string>
#include <vector>

#include "recorder.h"
#include "unet_config.h"
#include "unet_plan.h"

namespace deepcache {

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

  int time_offset(const std::string& resnet) const;
  int time_total() const;
  int context_index(const std::string& attention) const;
  int position_index(const std::string& transformer) const;
};

class UnetBlocks {
 public:
  UnetBlocks(const UnetConfig& config, const UnetLayout& layout, const UnetShape& shape,
             Plan& plan);

  Plan& plan() { return record_.plan(); }

  Tensor conv_in(Tensor sample);
  Tensor down_unit(int unit, Tensor x);
  Tensor mid(Tensor x);
  // `next_skip`: the skip of the following layer, whose size an upsampler at the end of a block
  // takes; none for the last layer.
  Tensor up_layer(int layer, Tensor x, Tensor skip, Tensor next_skip);
  void out(Tensor x);
  // The embedding runs in a plan of its own, once for each run; every forward pass counts it.
  void count_time_embedding();

 private:
  // `epsilon`: of the group norms.
  Tensor resnet(const std::string& name, Tensor x, Tensor skip, int channels, float epsilon);
  Tensor image_resnet(const std::string& name, Tensor x, Tensor skip, int channels, float epsilon);
  GroupNormOptions norm(Tensor x2, float epsilon) const;
  Tensor downsample(const std::string& name, Tensor x);
  Tensor upsample(const std::string& name, Tensor x, const Shape& to);
  Tensor attention(const std::string& name, Tensor x, int level);
  Tensor transformer(const std::string& name, Tensor x, int level);
  Tensor transformer_block(const std::string& name, Tensor x, int heads);
  Sequences self_sequences(const Shape& x) const;
  // unet_video_blocks.cc
  Tensor frame_positions(const std::string& name, int channels);
  Tensor temporal_block(const std::string& name, Tensor x, Tensor positions, int heads,
                        float share);

  const UnetConfig& config_;
  const UnetLayout& layout_;
  UnetShape shape_;
  Recorder record_;
  Tensor time_;
};

}  // namespace deepcache

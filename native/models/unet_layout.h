#pragma once

// What a U-Net is made of: its layers as a list of descriptors, in the order of a full pass.

#include <optional>
#include <string>
#include <vector>

#include "unet_config.h"

namespace deepcache {

// "name.index", as diffusers numbers modules.
inline std::string numbered(const std::string& name, int index) {
  return name + "." + std::to_string(index);
}

struct UnetResnet {
  std::string name;
  int channels = 0;
  float epsilon = 1e-5f;  // of its norms
  int time = 0;           // its first channel in "time", which concatenates all projections
  int time_channels = 0;  // how many: twice its own for a scale and a shift
  bool time_act = true;   // of an activated time embedding
  float scale = 1;        // of what it makes, its residual included
};

struct UnetTransformerBlock {
  std::string name;
  int context = 0;        // its place in UnetLayout::contexts
  int self_context = -1;  // that of attn1, where it reads the context, too
};

struct UnetAttentionLayer {
  std::string name;
  UnetAttention kind = UnetAttention::transformer;
  int heads = 1;
  std::vector<UnetTransformerBlock> blocks = {};  // of a transformer
  int context = -1;                               // added_kv: its place in UnetLayout::contexts
  bool only_cross = false;                        // added_kv: without keys and values of its own
  // Along a video's frames, each behind the block of its index and blended with what that made;
  // empty: none.
  std::vector<UnetTransformerBlock> temporal_blocks = {};
  int position = -1;  // with temporal blocks: its place in UnetLayout::positions
};

// A resnet with what follows it, or a downsampler.
struct UnetUnit {
  std::string block;      // "down_blocks.1"; "mid_block"
  int level = 0;          // 0 is the finest
  int layer = 0;          // in the block
  bool is_last = false;   // of the block
  std::string name = {};  // of the resnet's module
  std::optional<UnetResnet> resnet = {};
  // Behind it, along a video's frames, and blended with it.
  std::optional<UnetResnet> temporal_resnet = {};
  std::optional<UnetAttentionLayer> attention = {};
  std::optional<UnetMotionModule> motion = {};
  std::string resampler = {};                        // at the end; empty: none
  std::optional<UnetResnet> resampling_resnet = {};  // where it is one

  // The one whose output is the unit's, but for a resampler.
  const std::string& last_module() const {
    return motion ? motion->name : attention ? attention->name : name;
  }
};

struct UnetLayout {
  // A cross attention: keys and values of the text.
  struct Context {
    enum class Kind : uint8_t {
      cross,     // attn2 of a transformer block
      self,      // attn1, which takes the context, too
      added_kv,  // tokens before an attention's own
    };
    std::string name;
    int channels = 0;
    int level = 0;
    bool temporal = false;  // along frames
    Kind kind = Kind::cross;
  };
  // A transformer, or a block of a motion module, that adds a vector to each frame.
  struct Position {
    std::string name;
    int channels = 0;
  };

  explicit UnetLayout(const UnetConfig& config);

  std::vector<UnetUnit> down, mid, up;
  std::vector<Context> contexts;
  std::vector<Position> positions;
  int time_width = 0;  // of "time"

  // All resnets, in the order of a pass.
  std::vector<const UnetResnet*> resnets() const;
  std::vector<UnetResnet*> all_resnets();
};

}  // namespace deepcache

#pragma once

// What a run adds to a U-Net from outside: the outputs of ControlNets, and the features of
// T2I-Adapters.

#include <vector>

namespace deepcache {

class Unet;

// A ControlNet in a run. It sees the U-Net's input, timesteps and conditions.
struct ControlNetUse {
  Unet* network = nullptr;
  // What it sees: one, or of a network that takes several kinds of pictures one of each. Each
  // [images, channels, scale * h, scale * w] from 0 to 1; `images` divides the run's. Image i of
  // the run takes number i mod images.
  std::vector<const float*> pictures;
  std::vector<int> kinds;  // of the pictures, of such a network
  int images = 1;
  std::vector<float> scales;  // for each row of the table, or for a single pass
  // Guess mode: the deeper a residual, the more it counts (a tenth to one). With guidance only the
  // conditional samples see the network.
  bool guess = false;
};

struct UnetControl {
  std::vector<ControlNetUse> networks;
  // [images, c, h, w] of the levels, and behind them of the mid block.
  std::vector<const float*> block_features;
  int feature_images = 1;
  std::vector<float> feature_scales;  // as ControlNetUse::scales

  bool given() const { return !networks.empty() || !block_features.empty(); }
};

// A network as a session of a U-Net has it.
struct ControlMember {
  Unet* network = nullptr;
  bool conditional_only = false;  // all outputs but the unconditional one
  bool operator==(const ControlMember&) const = default;
};

// `outputs` of a sample that guidance combines; 1 for a single pass.
std::vector<ControlMember> members_of(const UnetControl& control, int outputs);

}  // namespace deepcache

#pragma once

// What a U-Net's plan holds besides the network itself. Part of a shape: sessions with other extras
// are other sessions. Values that a run changes (scales, pictures) are ports, never extras.

#include <compare>
#include <vector>

#include "../runtime/table.h"

namespace deepcache {

struct UnetExtras {
  // Networks whose outputs are added to the skips and to the mid block's output (ControlNet).
  int residuals = 0;
  // How many features are added inside of the down path (T2I-Adapter), one at the end of each
  // level; with one more than there are levels the last one is added to the mid block's output.
  int block_features = 0;
  // Tokens of each picture that prompts a run (IP-Adapter): every cross attention reads them beside
  // the text's.
  std::vector<int> image_tokens = {};
  bool free_u = false;
  // Transformer blocks by the places of their contexts in UnetLayout, in order: there self
  // attention is the identity on its values for the last of a sample's outputs (perturbed-attention
  // guidance).
  std::vector<int> perturbed = {};
  // Whether retrieve steps forecast their feature from what the last two full passes left.
  bool forecasts = false;
  // Whether the last of a sample's outputs is computed behind the others, on latents that these and
  // the mid block's attention degrade (self-attention guidance); see unet_degraded.h.
  bool degrades = false;
  // Of a pass; which ones a session has is told apart from its shape.
  AttentionUses attention = {};
  // Of a pass: whether it says how much attention the mid block's pixels get, for the first of a
  // sample's outputs.
  bool attention_mass = false;

  auto operator<=>(const UnetExtras&) const = default;
};

}  // namespace deepcache

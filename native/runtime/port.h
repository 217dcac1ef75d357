#pragma once

// What networks and the segments of a program hand to each other: the externals of plans by what
// they mean, so that what one writes can be bound where another reads it.

#include <compare>
#include <cstdint>
#include <string>

namespace deepcache {

enum class PortKind : uint8_t {
  sample,          // what a U-Net denoises
  time,            // time projections of all resnets, a slice for each step
  context,         // keys and values of a cross attention
  position,        // frame positions of a spatio-temporal transformer
  feature,         // the hidden state that enters the suffix of a branch
  kept_feature,    // what the last full pass left there,
  feature_change,  // less what the one before it did,
  feature_gamma,   // and how far that goes on, for each sample, a slice for each step
  residual,        // what another network adds to a skip
  residual_scale,  // of residuals and block features, for each sample, a slice for each step
  block_feature,   // what an adapter adds at the end of a level
  hint,            // a picture as a ControlNet sees it
  extra_context,   // keys and values beside the prompt's
  free_u,          // FreeU's factors, for each sample
  kept_cross,      // outputs of attention that calls leave to later ones
  kept_self,
  attention_mass,  // how much attention each pixel of the mid block gets,
  degrading,       // and factors of what is made of it, for each sample, a slice for each step
  degraded,        // the input of the last of a sample's outputs, if it is another one
  out,
  // Of the plans that run once, before the steps.
  text,
  level_text,   // the text of each pixel of a level
  scaled_text,  // times the scale of a cross attention
  frames,
  timesteps,
  timestep_cond,
  time_ids,
  text_embeds,
  image_embeds,
  class_labels,
  control_kinds,
  // Of encoders and autoencoders.
  ids,
  added_rows,  // of tokens behind the vocabulary
  pooled_index,
  hidden,
  last,
  pooled,
  image,
  class_token,
  embeds,
  latent,
  moments,
  kept_image,  // what a masked decoding keeps,
  mask,        // and where it does not, for each size
};

struct Port {
  PortKind kind;
  int index = -1;  // which of several; -1 where there is one

  constexpr Port(PortKind kind, int index = -1) : kind(kind), index(index) {}
  auto operator<=>(const Port&) const = default;
};

// "sample", "feature.3": for messages.
std::string to_string(Port port);

}  // namespace deepcache

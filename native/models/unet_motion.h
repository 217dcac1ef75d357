#pragma once

// Motion modules (Guo et al. 2023, AnimateDiff; diffusers' UNetMotionModel): transformers along the
// frames of a video behind the resnets and attentions of an image model's U-Net.

#include <optional>
#include <string>
#include <vector>

#include "../runtime/frame_windows.h"
#include "config.h"
#include "recorder.h"

namespace deepcache {

struct UnetConfig;

// What a U-Net's configuration says of them. Vectors have one entry a level, the finest first.
struct UnetMotion {
  std::vector<int> heads;  // motion_num_attention_heads
  std::vector<int> depth;  // temporal_transformer_layers_per_block
  int mid_depth = 1;       // temporal_transformer_layers_per_mid_block
  bool mid = true;         // use_motion_mid_block
  int max_frames = 32;     // motion_max_seq_length: rows of the tables of positions
};

// Throws Error(kInvalidConfig) or Error(kUnsupported) naming the field.
UnetMotion parse_unet_motion(const ConfigReader& in, size_t levels);
// What of it does not fit the rest of the configuration.
void validate(const UnetMotion& motion, const UnetConfig& config);

struct UnetMotionModule {
  std::string name;
  int heads = 1;
  int depth = 1;
  int position = 0;  // of its first block, in UnetLayout::positions
};

// Rows of a stored table, for the frames of a video: [1, 1, frames, channels].
Tensor motion_positions(Recorder& record, const std::string& name, Tensor numbers, int channels,
                        int max_frames);

// Of images [videos * frames, h, w, c]; `positions`: one for each block, of a window's frames where
// there are windows. diffusers: AnimateDiffTransformer3D, with windows FreeNoiseTransformerBlock.
Tensor motion_module(Recorder& record, const UnetMotionModule& module, Tensor x, int frames,
                     const FrameWindows& windows, int groups, const std::vector<Tensor>& positions);

}  // namespace deepcache

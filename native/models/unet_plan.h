#pragma once

// Records U-Nets of the Stable Diffusion family (diffusers' UNet2DConditionModel) as plans.
//
// The down path is a list of units (a resnet with its attention, or a downsampler), the up path a
// list of layers of the same length. DeepCache cuts one plan of a full pass: for branch r into a
// prefix (conv_in and the first r units), a deep part, and a suffix (the last r + 1 up layers and
// what follows). The hidden state that enters the suffix is the cached feature, which the deep part
// writes in place; a retrieve step is the prefix and the suffix without what lies between.

#include <string>
#include <vector>

#include "../runtime/plan.h"
#include "unet_config.h"
#include "unet_extras.h"

namespace deepcache {

// What a U-Net plan depends on besides the configuration.
struct UnetShape {
  int batch = 1;  // the outputs of guidance included
  int height = 64, width = 64;
  int context_length = 77;
  int time_rows = 1;  // 1: one time embedding for the batch; otherwise `batch`
  // So many samples that follow each other are one video. Contexts of a video U-Net are one for
  // each video. In other U-Nets all frames take the keys and values of self attention from the
  // first of them (Text2Video-Zero).
  int frames = 1;
  // Video U-Nets: pixels of the temporal cross attention take the videos' contexts in turn, as
  // diffusers did by mistake before v0.28.
  bool old_contexts = false;
  // What a sample has in the batch: guidance combines them.
  int outputs = 1;
  UnetExtras extras = {};
  // In which motion modules see the frames; none: all at once.
  FrameWindows windows = {};

  // Frames that motion modules see at once.
  int seen_frames() const { return windows ? windows.length : frames; }
  int videos() const { return batch / frames; }
  // Samples that follow each other and have a text and a time in common.
  int samples_of_condition(const UnetConfig& config) const {
    return config.takes_videos() ? frames : 1;
  }
  // One video has no turns.
  bool interleaves_contexts() const { return old_contexts && videos() > 1; }
  bool operator==(const UnetShape&) const = default;
};

// Ports: sample [n, h, w, in], time [1 or n, 1, 1, total] stepped, context.<i> [n, 1, length, 2c]
// keys and values of the i-th cross attention, out [n, h, w, out], and feature.<r> for every r of
// `features`, the branches that will be retrieved. With extras also residual.<i>, of one network
// behind the other (residual_port()), block_feature.<level>, and residual_scale [n, 1, 1, count]
// stepped: a factor for each residual, and one for all block features behind them. With
// image_tokens also extra_context.<j> [n, 1, tokens, c], keys at an even j and values behind them,
// of picture p at 2 * (p * contexts + i). With free_u also free_u [n, 1, 1, 4]: factors of the
// backbone and of the skips in the first up block, and in the second one. With forecasts, each
// feature has a kept_feature.<r> and a feature_change.<r> of its shape beside it, which a full pass
// leaves behind and a retrieve step makes its feature of, and there is feature_gamma [n, 1, 1, 1],
// stepped. With `attention` also kept_cross.<i> and kept_self.<i> [n, h, w, c] of the transformer
// block that reads context.<i>; their mean over the outputs has 1 / outputs of the samples. Throws
// Error(kUnsupported) where that is of U-Nets that do not attend in such blocks alone, or of
// videos.
Plan plan_unet(const UnetConfig& config, const UnetShape& shape, const std::vector<int>& features);
// See there.
void check_attention_uses(const UnetConfig& config, const UnetShape& shape);
// How many values a sample of residual_scale has.
int scales_of(const UnetConfig& config, const UnetExtras& extras);
// [n, h, w, c] of block_feature.<level>.
Shape block_feature_shape(const UnetConfig& config, const UnetShape& shape, int level);
// The segments of such a plan that a full pass runs: all but the forecasts of features.
OpRanges full_segments(const Plan& plan);
// Those that a retrieve step of the branch runs.
OpRanges retrieve_segments(const Plan& plan, int branch);

// text [n, 1, length, width] -> context.<i>. Video U-Nets have one text for each video, further
// frames [1, 1, frames, 1], the numbers from 0 -> position.<i> of each spatio-temporal
// transformer, or ids, the same -> position.<i> of each block of motion modules, and where contexts
// interleave level_text.<level> [n, 1, pixels * length, width]. Those that read images have
// image_embeds [n, 1, 1, width], too. Empty for U-Nets without cross-attention.
Plan plan_unet_context(const UnetConfig& config, const UnetShape& shape);
// For one frame, of `batch` samples.
Plan plan_unet_context(const UnetConfig& config, int batch, int length);

// timesteps [1, 1, rows, 1] -> time [rows, 1, 1, total]: every resnet's time projection. With
// text_time also text_embeds [n, 1, 1, pooled] and time_ids [n, 1, time_ids, 1] (6 in SDXL
// base, 5 in its refiner), where n divides rows and row i belongs to sample i mod n. Video U-Nets
// have time ids (3) only. With time_cond_width also timestep_cond [n, 1, 1, time_cond_width].
// ControlNets of several kinds of pictures have control_kinds [1, 1, kinds, 1]: 1 for those that
// they see, else 0. Where U-Nets are conditioned by more, also class_labels [n, 1, 1, width],
// image_embeds [n, 1, 1, width], text [n, 1, length, width].
Plan plan_unet_time(const UnetConfig& config, int rows, int samples, int time_ids,
                    int text_length = 1);

// In the plans of time and contexts: behind it are the layers that the U-Net's own blocks count.
inline const std::string kTimeEmbeddingMark = "time_embedding", kContextMark = "contexts";

// The pooled width that goes with so many time ids. Throws Error(kInvalidArgument) when none does.
// Video U-Nets: 0.
int pooled_text_width(const UnetConfig& config, int time_ids);

// Height and width of a level, the finest being 0.
Shape unet_level_shape(const UnetConfig& config, const UnetShape& shape, int level);

// The shape of feature.<branch>: [n, h, w, c].
Shape unet_feature_shape(const UnetConfig& config, const UnetShape& shape, int branch);

// Modules that a retrieve step of the branch runs, in order, and the one whose output it reads;
// diffusers' names.
struct UnetBranch {
  std::string feature;
  std::vector<std::string> runs;
};
UnetBranch describe_branch(const UnetConfig& config, int branch);

}  // namespace deepcache

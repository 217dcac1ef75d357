#pragma once

// The building blocks of UNet2DConditionModel.

#include <functional>
#include <string>
#include <vector>

#include "recorder.h"
#include "unet_config.h"
#include "unet_layout.h"
#include "unet_plan.h"

namespace deepcache {

class UnetBlocks {
 public:
  UnetBlocks(const UnetConfig& config, const UnetLayout& layout, const UnetShape& shape,
             Plan& plan);

  Plan& plan() { return record_.plan(); }
  Recorder& record() { return record_; }

  // `hint` is added to it.
  Tensor conv_in(Tensor sample, Tensor hint = {});
  Tensor down(const UnetUnit& unit, Tensor x);
  Tensor mid(Tensor x);
  // `next_skip`: the skip of the following layer, whose size an upsampler at the end of a block
  // takes; none for the last layer.
  Tensor up(const UnetUnit& unit, Tensor x, Tensor skip, Tensor next_skip);
  void out(Tensor x);
  Tensor copy(Tensor x) { return record_.elementwise(x, 1, {}, 0, Activation::none); }
  // unet_residuals.cc: what the shape's extras add to a skip (to the mid block's output where
  // `skip` is the number of branches), and at the end of a level (or behind the mid block).
  Tensor with_residuals(Tensor x, int skip);
  Tensor with_feature(Tensor x, int level);
  // Embeddings of time, text and image run in plans of their own, once for each run; every forward
  // pass counts them.
  void count_embeddings();

 private:
  // Its layers, but for the resampler.
  Tensor layers(const UnetUnit& unit, Tensor x, Tensor skip);
  // `resampling`: -1 to half the size, 1 to twice.
  Tensor resnet(const UnetResnet& layer, Tensor x, Tensor skip, int resampling = 0);
  Tensor free_u(const UnetUnit& unit, Tensor x, Tensor skip);
  GroupNormOptions norm(Tensor x2, float epsilon, bool silu) const;
  Tensor activated_norm(Tensor x, const std::string& name, Tensor x2, float epsilon);
  Tensor downsample(const std::string& name, Tensor x);
  Tensor upsample(const std::string& name, Tensor x, const Shape& to);
  Tensor attention(const UnetAttentionLayer& layer, Tensor x);
  Tensor transformer(const UnetAttentionLayer& layer, Tensor x);
  Tensor transformer_block(const UnetTransformerBlock& block, Tensor x, int heads);
  Tensor added_kv_attention(const UnetAttentionLayer& layer, Tensor x);
  Tensor self_attention(Tensor x, const UnetTransformerBlock& block, int heads);
  Tensor cross_attention(Tensor h, const std::string& name, int context, int heads);
  // unet_kept.cc: x and what an attention makes of it, whose last layer is `to_out`.
  Tensor add_attention(Tensor x, AttentionUse use, Port kept, const std::string& to_out,
                       const std::function<Tensor()>& attend);
  // unet_degraded.cc
  void leave_attention_mass(Tensor qkv, int heads);
  Tensor context_of(int context, int channels);
  Tensor scales();
  Tensor add_scaled(Tensor x, Port port, Type type, int scale);
  // image_prompt.cc
  Tensor image_prompts(int context, Tensor text, Tensor q, int heads);
  Sequences self_sequences(const UnetTransformerBlock& block, const Shape& x) const;
  // unet_video_blocks.cc
  Tensor temporal_resnet_behind(const UnetUnit& unit, Tensor x);
  Tensor motion_behind(const UnetMotionModule& module, Tensor x);
  Tensor frame_positions(int position);
  Tensor temporal_block(const UnetTransformerBlock& block, Tensor x, Tensor positions, int heads,
                        float share);

  const UnetConfig& config_;
  const UnetLayout& layout_;
  UnetShape shape_;
  Recorder record_;
  Tensor time_;
  Tensor scales_;
  Tensor factors_;  // of FreeU
};

}  // namespace deepcache

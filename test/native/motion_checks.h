#pragma once

// A U-Net with motion modules on any backend.

#include <memory>
#include <vector>

#include "native/models/unet.h"
#include "native/models/weight_plans.h"
#include "native/runtime/synth.h"
#include "tiny_unet.h"

namespace deepcache::test {

inline const char* const kMotion = R"({
  "_class_name": "UNetMotionModel", "in_channels": 4, "out_channels": 4, "norm_num_groups": 4,
  "down_block_types": ["CrossAttnDownBlockMotion", "DownBlockMotion"],
  "up_block_types": ["UpBlockMotion", "CrossAttnUpBlockMotion"],
  "block_out_channels": [8, 16], "layers_per_block": 1, "cross_attention_dim": 12,
  "attention_head_dim": 2, "motion_num_attention_heads": 2, "motion_max_seq_length": 6
})";

// Two videos of 6 frames with a text each.
struct MotionTest {
  static constexpr int kFrames = 6, kVideos = 2, kBatch = kVideos * kFrames;

  explicit MotionTest(std::shared_ptr<Backend> backend) {
    const UnetConfig config = UnetConfig::parse(kMotion);
    unet = std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), backend);
  }

  std::vector<float> forward(const FrameWindows& windows, std::vector<int> features = {},
                             std::optional<int> retrieve = {}) {
    const auto sample = values("sample", {kBatch, 4, 8, 6}), context = values("text", {2, 3, 12});
    UnetForward request;
    request.batch = kBatch;
    request.frames = kFrames;
    request.windows = windows;
    request.height = 8;
    request.width = 6;
    request.sample = sample.data();
    request.timesteps = {401};
    request.conditions.context = context.data();
    request.conditions.context_length = 3;
    request.features = std::move(features);
    request.retrieve = retrieve;
    return unet->forward(request, nullptr, nullptr);
  }

  std::unique_ptr<Unet> unet;
};

}  // namespace deepcache::test

#pragma once

// A U-Net of three small levels with synthetic weights, and runs of it; the configuration of
// SD 1.5.

#include <memory>
#include <string>
#include <vector>

#include "native/models/unet.h"
#include "native/models/weight_plans.h"
#include "native/runtime/synth.h"

namespace deepcache::test {

inline const char* const kSd15 = R"({
  "in_channels": 4, "out_channels": 4,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
  "cross_attention_dim": 768, "attention_head_dim": 8
})";

inline const char* const kTiny = R"({
  "in_channels": 4, "out_channels": 4, "norm_num_groups": 4,
  "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
  "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"],
  "block_out_channels": [8, 16, 24], "layers_per_block": 1,
  "transformer_layers_per_block": [1, 1, 2], "cross_attention_dim": 12, "attention_head_dim": 2
})";

// The tiny U-Net's configuration with a field of another value.
inline UnetConfig tiny_with(const std::string& field) {
  std::string json = kTiny;
  if (!field.empty()) json.insert(1, field + ",");
  return UnetConfig::parse(json);
}

inline std::unique_ptr<Unet> tiny_unet(const std::string& field = "") {
  const UnetConfig config = tiny_with(field);
  return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)),
                                std::shared_ptr<Backend>(make_cpu_backend(1)));
}

inline std::vector<float> values(const std::string& name, std::vector<int64_t> shape) {
  const SyntheticTensor tensor{"input." + name, std::move(shape)};
  std::vector<float> out(tensor.count());
  synthetic_values(tensor, 0, out.size(), out.data());
  return out;
}

// A pass of the tiny U-Net over `batch` samples of 8x8 from the first on, with three tokens each.
inline UnetForward tiny_pass(const std::vector<float>& sample, const std::vector<float>& context,
                             int first, int batch) {
  UnetForward out;
  out.batch = batch;
  out.height = out.width = 8;
  out.sample = sample.data() + first * 4 * 64;
  out.timesteps = {500};
  out.conditions.context = context.data() + first * 36;
  out.conditions.context_length = 3;
  return out;
}

}  // namespace deepcache::test

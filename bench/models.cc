#include "models.h"

#include "../native/runtime/synth.h"

namespace deepcache::bench {

const char* const kSd15Unet = R"({
  "in_channels": 4, "out_channels": 4, "sample_size": 64,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
  "cross_attention_dim": 768, "attention_head_dim": 8
})";

const char* const kSd15Vae = R"({
  "in_channels": 3, "out_channels": 3, "latent_channels": 4, "layers_per_block": 2,
  "block_out_channels": [128, 256, 512, 512], "norm_num_groups": 32, "scaling_factor": 0.18215
})";

namespace {

// Every tensor that the plans name, in its published shape.
std::shared_ptr<WeightSource> synthetic_source(const std::vector<Plan>& plans) {
  std::vector<WeightSpec> specs;
  for (const Plan& plan : plans)
    specs.insert(specs.end(), plan.weights().begin(), plan.weights().end());
  return std::make_shared<SyntheticWeights>(synthetic_tensors(specs));
}

}  // namespace

std::unique_ptr<Unet> synthetic_unet(const std::string& json, std::shared_ptr<Backend> backend) {
  const UnetConfig config = UnetConfig::parse(json);
  std::vector<Plan> plans;
  plans.push_back(plan_unet_full(config, {1, 16, 16, 1, 1}, {}));
  plans.push_back(plan_unet_context(config, 1, 1));
  plans.push_back(plan_unet_time(config, 1, 1, 1));
  return std::make_unique<Unet>(config, synthetic_source(plans), std::move(backend));
}

std::unique_ptr<Autoencoder> synthetic_vae(const std::string& json,
                                           std::shared_ptr<Backend> backend) {
  const VaeConfig config = VaeConfig::parse(json);
  std::vector<Plan> plans;
  plans.push_back(plan_vae_encode(config, 1, config.scale(), config.scale()));
  plans.push_back(plan_vae_decode(config, 1, 1, 1));
  return std::make_unique<Autoencoder>(config, synthetic_source(plans), std::move(backend));
}

std::vector<float> synthetic_input(const std::string& name, std::vector<int64_t> shape) {
  const SyntheticTensor tensor{name, std::move(shape)};
  std::vector<float> out(tensor.count());
  synthetic_values(tensor, 0, out.size(), out.data());
  return out;
}

}  // namespace deepcache::bench

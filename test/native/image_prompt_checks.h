#pragma once

// A U-Net with IP-Adapters beside it, on any backend.

#include <memory>
#include <vector>

#include "batch_runs.h"
#include "models/ip_adapter.h"
#include "models/unet_layout.h"
#include "models/weight_plans.h"
#include "tiny_unet.h"

namespace deepcache::test {

// A base adapter of 4 tokens, and a Plus adapter of 2.
struct ImagePromptTest {
  explicit ImagePromptTest(std::shared_ptr<Backend> backend) {
    const UnetConfig config = tiny_with("");
    unet = std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), backend);
    IpAdapterConfig own;
    own.context_width = config.context_width;
    for (const auto& context : UnetLayout(config).contexts)
      own.channels.push_back(context.channels);
    own.image_width = 6;
    own.tokens = 4;
    base = load(own, backend);
    own.projection = ImageProjection::resampler;
    own.tokens = own.layers = 2;
    own.width = 8;
    own.heads = 2;
    own.head_width = 64;
    own.mlp_width = 32;
    plus = load(own, backend);
  }

  // What pictures become, for so many samples that all see the same; lives as long as the test.
  ImagePrompt prompt(const std::shared_ptr<IpAdapter>& adapter, int samples, float scale) {
    const bool reads_tokens = adapter->config().projection == ImageProjection::resampler;
    const int length = reads_tokens ? 5 : 1;
    const std::vector<float> image = values("image", {1, length, 6});
    const std::vector<float> tokens = adapter->project(image.data(), 1, length, nullptr);
    kept.push_back({});
    for (int i = 0; i < samples; ++i)
      kept.back().insert(kept.back().end(), tokens.begin(), tokens.end());
    const size_t attentions = adapter->config().channels.size();
    return {adapter, kept.back().data(), adapter->config().tokens,
            std::vector<float>(attentions, scale)};
  }

  std::vector<float> forward(std::vector<ImagePrompt> prompts) {
    const auto sample = values("sample", {2, 4, 8, 8});
    const auto context = values("context", {2, 3, unet->config().context_width});
    UnetForward request;
    request.batch = 2;
    request.height = request.width = 8;
    request.sample = sample.data();
    request.timesteps = {401};
    request.conditions.context = context.data();
    request.conditions.context_length = 3;
    request.conditions.image_prompts = std::move(prompts);
    return unet->forward(request, nullptr, nullptr);
  }

  // Ten steps, of which two of three retrieve.
  std::unique_ptr<BatchRun> run(std::vector<ImagePrompt> prompts, int side = 8) {
    auto out = ten_steps(*unet, side);
    out->request.conditions.image_prompts = std::move(prompts);
    return out;
  }

  std::unique_ptr<Unet> unet;
  std::shared_ptr<IpAdapter> base, plus;
  std::vector<std::vector<float>> kept;

 private:
  static std::shared_ptr<IpAdapter> load(const IpAdapterConfig& config,
                                         const std::shared_ptr<Backend>& backend) {
    return std::make_shared<IpAdapter>(
        config,
        synthetic_weights({plan_image_projection(config, 1, 1), plan_image_keys(config, 1, 1)}),
        backend);
  }
};

}  // namespace deepcache::test

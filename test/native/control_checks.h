#pragma once

// A U-Net with ControlNets beside it, on any backend.

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "models/unet.h"
#include "models/weight_plans.h"
#include "segment_checks.h"

namespace deepcache::test {

inline UnetConfig control_test_config(bool control) {
  const std::string own = control ? R"("_class_name": "ControlNetModel",
        "conditioning_embedding_out_channels": [4, 4, 8])"
                                  : R"("up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"])";
  return UnetConfig::parse(R"({"in_channels": 4, "norm_num_groups": 4,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "block_out_channels": [8, 16],
    "layers_per_block": 1, "cross_attention_dim": 12, "attention_head_dim": 2, )" +
                           own + "}");
}

struct ControlTest {
  explicit ControlTest(std::shared_ptr<Backend> backend)
      : engine(std::make_shared<Engine>(std::move(backend))) {
    const auto load = [&](bool control) {
      const UnetConfig config = control_test_config(control);
      return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), engine);
    };
    unet = load(false);
    network = load(true);
    sample = small_numbers(size_t(2) * 4 * 8 * 8, 3);
    context = small_numbers(size_t(2) * 3 * 12, 5);
    image = small_numbers(size_t(2) * 3 * 32 * 32, 1);
    request.batch = 2;
    request.height = request.width = 8;
    request.sample = sample.data();
    request.timesteps = {7};
    request.conditions.context = context.data();
    request.conditions.context_length = 3;
  }

  ControlNetUse use(float scale, int rows = 1) {
    return {network.get(), image.data(), 2, std::vector<float>(size_t(rows), scale), false};
  }
  std::vector<float> forward(std::vector<ControlNetUse> uses) {
    request.control.networks = std::move(uses);
    return unet->forward(request, nullptr, nullptr);
  }
  static double difference(const std::vector<float>& a, const std::vector<float>& b) {
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(double(a[i]) - b[i]));
    return most;
  }

  std::shared_ptr<Engine> engine;
  std::unique_ptr<Unet> unet, network;
  std::vector<float> sample, context, image;
  UnetForward request;
};

// Scales are values; the outputs of several networks are summed; what a run had is not the next
// one's.
inline void check_controlnet(std::shared_ptr<Backend> backend, double tolerance) {
  ControlTest test(std::move(backend));
  const std::vector<float> plain = test.forward({});
  CHECK(test.forward({test.use(0)}) == plain);
  const std::vector<float> one = test.forward({test.use(1)});
  const size_t plans = test.unet->counters().sessions;
  CHECK(ControlTest::difference(one, plain) > 1e-3);
  CHECK(ControlTest::difference(test.forward({test.use(0.5f)}), one) > 1e-4);
  CHECK_EQ(test.unet->counters().sessions, plans);
  const std::vector<float> two = test.forward({test.use(0.25f), test.use(0.75f)});
  CHECK(ControlTest::difference(two, one) < tolerance);
  ControlNetUse guess = test.use(1);
  guess.guess = true;
  CHECK(ControlTest::difference(test.forward({guess}), one) > 1e-4);
  CHECK(test.forward({}) == plain);
  // What it made goes with the network.
  const size_t before = test.engine->memory().buffers;
  test.network.reset();
  CHECK(test.engine->memory().buffers < before);
}

}  // namespace deepcache::test

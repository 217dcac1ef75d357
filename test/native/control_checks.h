#pragma once

// A U-Net with ControlNets beside it, on any backend.

#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "models/unet.h"
#include "models/weight_plans.h"
#include "segment_checks.h"

namespace deepcache::test {

// A U-Net, or what goes beside it: a class of diffusers.
inline UnetConfig control_test_config(const std::string& beside, const std::string& fields = "") {
  const std::string own = beside.empty()
                              ? R"("up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"])"
                              : R"("conditioning_embedding_out_channels": [4, 4, 8],
        "num_control_type": 3, "num_trans_channel": 8, "num_proj_channel": 8,
        "num_trans_head": 2, "addition_time_embed_dim": 4, )" +
                                    fields + R"("_class_name": ")" + beside + "\"";
  return UnetConfig::parse(R"({"in_channels": 4, "norm_num_groups": 4,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "block_out_channels": [8, 16],
    "layers_per_block": 1, "cross_attention_dim": 12, "attention_head_dim": 2, )" +
                           own + "}");
}

struct ControlTest {
  explicit ControlTest(std::shared_ptr<Backend> backend,
                       const std::string& kind = "ControlNetModel", const std::string& fields = "")
      : engine(std::make_shared<Engine>(std::move(backend))) {
    const auto load = [&](const std::string& beside) {
      const UnetConfig config = control_test_config(beside, beside.empty() ? "" : fields);
      return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)), engine);
    };
    unet = load("");
    network = load(kind);
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
    return {network.get(), {image.data()}, {}, 2, std::vector<float>(size_t(rows), scale), false};
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

// A network that takes pictures of several kinds: what it gives depends on the kinds, and on what
// the others in the batch see.
inline void check_control_union(std::shared_ptr<Backend> backend, double tolerance) {
  const std::string kind = "ControlNetUnionModel";
  ControlTest cpu(make_cpu_backend(1), kind), test(std::move(backend), kind);
  const auto residuals = [](ControlTest& of, const std::vector<int>& kinds, bool same = false) {
    ControlNetUse use = of.use(1);
    use.kinds = kinds;
    std::vector<float> both = of.image;
    if (same) std::copy_n(both.begin(), both.size() / 2, both.begin() + ptrdiff_t(both.size() / 2));
    use.pictures.assign(kinds.size(), both.data());
    std::vector<float> all;
    for (const std::vector<float>& one : of.network->residuals(of.request, use, nullptr))
      all.insert(all.end(), one.begin(), one.end());
    return all;
  };
  for (const std::vector<int>& kinds : {std::vector{1}, std::vector{0, 2}}) {
    const std::vector<float> expected = residuals(cpu, kinds);
    CHECK(ControlTest::difference(residuals(test, kinds), expected) < tolerance);
    CHECK(ControlTest::difference(residuals(test, {2}), expected) > 10 * tolerance);
    // The first picture's hint changes with the second picture.
    const std::vector<float> alike = residuals(cpu, kinds, true);
    double first = 0;
    for (size_t i = 0; i < 8 * 8 * 8; ++i)
      first = std::max(first, std::fabs(double(alike[i]) - expected[i]));
    CHECK(first > 1e-6);
  }
  const std::vector<float> plain = test.forward({});
  ControlNetUse use = test.use(1);
  use.kinds = {1};
  CHECK(ControlTest::difference(test.forward({use}), plain) > 1e-3);
}

// global_pool_conditions: each output is the mean of what it would be, at every pixel, of each
// sample.
inline void check_control_pool(std::shared_ptr<Backend> backend, double tolerance) {
  const std::string kind = "ControlNetModel";
  ControlTest plain(make_cpu_backend(1), kind);
  ControlTest test(std::move(backend), kind, R"("global_pool_conditions": true, )");
  const auto residuals = [](ControlTest& of, int height, int width) {
    of.request.height = height;
    of.request.width = width;
    return of.network->residuals(of.request, of.use(1), nullptr);
  };
  for (const auto& [height, width] : {std::pair{8, 8}, std::pair{5, 7}}) {
    const auto given = residuals(plain, height, width), pooled = residuals(test, height, width);
    CHECK_EQ(pooled.size(), given.size());
    for (size_t i = 0; i < given.size(); ++i) {
      CHECK_EQ(pooled[i].size(), given[i].size());
      // Behind the last two of the first level's skips the size is halved.
      const bool whole = i < 2;
      const size_t pixels =
          whole ? size_t(height * width) : size_t((height + 1) / 2) * size_t((width + 1) / 2);
      for (size_t plane = 0; plane < given[i].size() / pixels; ++plane) {
        const auto begin = given[i].begin() + ptrdiff_t(plane * pixels);
        const double mean = std::accumulate(begin, begin + ptrdiff_t(pixels), 0.0) / double(pixels);
        for (size_t j = 0; j < pixels; ++j)
          CHECK(std::fabs(pooled[i][plane * pixels + j] - mean) < tolerance);
      }
      CHECK(ControlTest::difference(pooled[i], given[i]) > 10 * tolerance);
    }
  }
}

}  // namespace deepcache::test

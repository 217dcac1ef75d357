// U-Nets of further configurations: what conditions them counts, each sample by itself, and
// DeepCache's defining property holds whatever their layers are.

#include "models/context_mask.h"
#include "models/weight_plans.h"
#include "runtime/error.h"
#include "test.h"
#include "unet_inputs.h"

namespace deepcache::test {
namespace {

std::unique_ptr<Unet> make(const UnetConfig& config) {
  return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)),
                                std::shared_ptr<Backend>(make_cpu_backend(1)));
}

std::vector<float> output_of(Unet& unet, const UnetForward& request) {
  return unet.forward(request, nullptr, nullptr);
}

template <typename Check>
void for_variants(const Check& check) {
  int count = 0;
  for (const ConfigCase& variant : unet_variants()) {
    const UnetConfig config = UnetConfig::parse(variant.text);
    check(config, *make(config));
    count++;
  }
  CHECK_EQ(count, 3);
}

}  // namespace

TEST(unet_variants_retrieve_what_a_full_step_made) {
  for_variants([](const UnetConfig& config, Unet& unet) {
    const UnetInputs inputs(config, 2);
    UnetForward request = inputs.request(0, 2);
    for (int branch = 0; branch < config.branches(); ++branch) request.features.push_back(branch);
    const std::vector<float> full = output_of(unet, request);
    request.features.clear();
    for (int branch = 0; branch < config.branches(); ++branch) {
      request.retrieve = branch;
      CHECK(output_of(unet, request) == full);
      // A moved sample meets the old feature.
      std::vector<float> moved = inputs.sample;
      for (float& value : moved) value += 0.5f;
      UnetForward other = request;
      other.sample = moved.data();
      CHECK(output_of(unet, other) != full);
    }
  });
}

TEST(unet_variants_condition_each_sample_by_its_own) {
  for_variants([](const UnetConfig& config, Unet& unet) {
    const UnetInputs inputs(config, 2);
    const std::vector<float> both = output_of(unet, inputs.request(0, 2));
    std::vector<float> one = output_of(unet, inputs.request(0, 1));
    const std::vector<float> two = output_of(unet, inputs.request(1, 1));
    one.insert(one.end(), two.begin(), two.end());
    CHECK(both == one);
  });
}

TEST(unet_variants_obey_every_condition) {
  for_variants([](const UnetConfig& config, Unet& unet) {
    const UnetInputs inputs(config, 2);
    const std::vector<float> usual = output_of(unet, inputs.request(0, 1));
    // The other sample's.
    const UnetConditions other = inputs.request(1, 1).conditions;
    const auto changes = [&](const float* UnetConditions::*field) {
      UnetForward request = inputs.request(0, 1);
      request.conditions.*field = other.*field;
      return output_of(unet, request) != usual;
    };
    CHECK(changes(&UnetConditions::context));
    CHECK_EQ(changes(&UnetConditions::class_labels),
             config.embeddings.classes != UnetClasses::none);
    CHECK_EQ(changes(&UnetConditions::image_embeds), config.image_width() > 0);
    CHECK_EQ(changes(&UnetConditions::timestep_cond), config.time_cond_width > 0);
    CHECK_EQ(changes(&UnetConditions::text_embeds),
             config.embeddings.addition == UnetAddition::text_image);
  });
}

// One token of the first sample and two of the second: the mask's result is the texts' without
// them.
TEST(contexts_are_read_without_masked_tokens) {
  const UnetConfig config = UnetConfig::parse(unet_variants().back().text);
  const auto unet = make(config);
  const UnetInputs inputs(config, 2);
  const int length = UnetInputs::kTokens, width = config.text_width();
  const MaskedContexts read = without_masked(
      inputs.context.data(), {true, false, true, false, true, false}, 2, length, width, 64);
  CHECK_EQ(read.length, 2);
  UnetForward request = inputs.request(0, 2);
  request.conditions.context = read.values.data();
  request.conditions.context_length = read.length;
  const std::vector<float> masked = output_of(*unet, request);
  const auto alone = [&](int sample, const std::vector<int>& tokens) {
    std::vector<float> context;
    for (const int token : tokens) {
      const float* from = inputs.context.data() + (sample * length + token) * width;
      context.insert(context.end(), from, from + width);
    }
    UnetForward one = inputs.request(sample, 1);
    one.conditions.context = context.data();
    one.conditions.context_length = int(tokens.size());
    return output_of(*unet, one);
  };
  std::vector<float> expected = alone(0, {0, 2});
  const std::vector<float> second = alone(1, {1});
  expected.insert(expected.end(), second.begin(), second.end());
  CHECK_EQ(masked.size(), expected.size());
  for (size_t i = 0; i < masked.size(); ++i) CHECK(std::abs(masked[i] - expected[i]) < 1e-4f);
  CHECK(output_of(*unet, inputs.request(0, 2)) != masked);
}

TEST(masks_have_their_limits) {
  const std::vector<float> context(2 * 7, 1.0f);
  std::vector<bool> kept(14, true);
  kept[0] = false;  // 6 and 7 tokens
  CHECK_EQ(without_masked(context.data(), kept, 2, 7, 1, 42).length, 42);
  CHECK_THROWS(without_masked(context.data(), kept, 2, 7, 1, 41), ErrorCode::kUnsupported);
  // A mask of nothing but zeros lowers all scores alike.
  const std::vector<bool> none(14, false);
  CHECK_EQ(without_masked(context.data(), none, 2, 7, 1, 7).length, 7);
}

}  // namespace deepcache::test

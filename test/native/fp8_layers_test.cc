// Which layers products of e4m3 serve, and that samples do not mix in them.

#include <algorithm>
#include <set>

#include "models/clip_text.h"
#include "models/vae.h"
#include "test.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

// Wide enough for e4m3 in every level but the first.
const char* const kChannels = R"("block_out_channels": [8, 16, 48])";

UnetConfig config() {
  std::string json = kTiny;
  const std::string from = R"("block_out_channels": [8, 16, 24])";
  return UnetConfig::parse(json.replace(json.find(from), from.size(), kChannels));
}

std::set<std::string> names(const Plan& plan, bool fp8) {
  std::set<std::string> out;
  for (const WeightSpec& spec : plan.weights())
    if (spec.fp8 == fp8 && spec.recipe != Recipe::vector)
      out.insert(spec.names.begin(), spec.names.end());
  return out;
}

bool any_contains(const std::set<std::string>& names, const std::string& part) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name.find(part) != std::string::npos; });
}

}  // namespace

TEST(fp8_layers_are_those_inside_of_the_unet) {
  const UnetConfig unet = config();
  const auto fp8 = names(plan_unet(unet, {1, 8, 8, 5, 1}, {}), true);
  for (const char* part :
       {"conv_in", "conv_out", "shortcut", "upsamplers", "down_blocks.0.resnets.0.conv1"})
    CHECK(!any_contains(fp8, part));
  for (const char* part :
       {"down_blocks.1.resnets.0.conv2", "downsamplers", "proj_in", "proj_out", "attn1.to_q",
        "attn1.to_v", "attn1.to_out", "attn2.to_q", "ff.net.0.proj", "ff.net.2", "up_blocks.0"})
    CHECK(any_contains(fp8, part));
  // Time, text and pictures stay as they are.
  VaeConfig vae;
  vae.channels = vae.decoder_channels = {32, 64};
  const Plan others[] = {plan_unet_time(unet, 1, 1, 0), plan_unet_context(unet, 1, 5),
                         plan_clip_text({}, 1, 5, 0), plan_vae_decode(vae, 1, 8, 8)};
  for (const Plan& plan : others) CHECK(names(plan, true).empty() && !names(plan, false).empty());
}

TEST(fp8_layers_take_most_of_the_time) {
  double fp8 = 0;
  const Plan plan = plan_unet(UnetConfig::parse(kSd15), {1, 64, 64, 77, 1}, {});
  for (const Op& op : plan.ops())
    if (op.kind == OpKind::conv && plan.weights()[op.conv.weight].fp8)
      fp8 += op.macs(plan.weights());
  CHECK_NEAR(fp8 / plan.executed_macs(), 0.771, 0.001);
}

TEST(fp8_samples_do_not_depend_on_their_batch) {
  const auto source = synthetic_weights(weight_plans(config()));
  const auto make = [&](bool fp8) {
    return std::make_unique<Unet>(
        config(), source,
        std::shared_ptr<Backend>(make_cpu_backend(2, fp8 ? Products::fp8 : Products::fp32)));
  };
  const auto unet = make(true);
  auto sample = values("sample", {2, 4, 8, 8});
  for (size_t i = 0; i < sample.size() / 2; i++) sample[i] *= 5;  // the first one is larger
  const auto context = values("context", {2, 3, 12});
  const auto forward = [&](Unet& unet, int first, int batch) {
    return unet.forward(tiny_pass(sample, context, first, batch), nullptr, nullptr);
  };
  const std::vector<float> both = forward(*unet, 0, 2);
  CHECK(std::equal(both.begin(), both.begin() + 256, forward(*unet, 0, 1).begin()));
  CHECK(std::equal(both.begin() + 256, both.end(), forward(*unet, 1, 1).begin()));
  CHECK(both != forward(*make(false), 0, 2));
}

}  // namespace deepcache::test

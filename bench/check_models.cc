// Whole models of a device against the CPU backend.
//
// Tolerances (relative L2, fp16): a U-Net call of some hundred ops, each rounding its output to 16
// bits (1.4e-4 in the mean), adds up like a random walk to about 2e-3, damped by norms and
// residuals: 5e-3. A run repeats the call on its own output: 2e-2.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "../native/runtime/error.h"
#include "check.h"
#include "models.h"
#include "ops.h"
#include "runs.h"

namespace deepcache::bench {
namespace {

constexpr double kCall = 5e-3, kRun = 2e-2;
constexpr int kTokens = 77;

// How often each kernel serves the plan: "12 matmul 128x128, 3 layer norm".
std::string kernels_of(const Device& device, Plan plan, Model& model,
                       const OpRanges& segments = {}) {
  RandomProgram program(std::move(plan), device, &model.weights(), segments);
  std::map<std::string, int> counts;
  for (const std::string& kernel : program.kernels()) counts[kernel]++;
  std::string out;
  for (const auto& [kernel, count] : counts)
    out += (out.empty() ? "" : "; ") + std::to_string(count) + " " + kernel;
  return out;
}

void check_unet(Checks& checks, const std::string& model, int side) {
  const std::string json = model_part(model, "unet"), head = "model." + model + ".";
  const UnetConfig config = UnetConfig::parse(json);
  const int last = config.branches() - 1;
  const std::vector<int> branches = {0, last / 2, last};
  std::unique_ptr<Unet> unet, reference;
  const auto begin = [&](const std::string& name) {
    if (!checks.begin(name)) return false;
    if (!unet) unet = synthetic_unet(json, checks.device().backend);
    if (!reference) reference = synthetic_unet(json, checks.reference());
    return true;
  };
  const auto compare = [&](const std::string& name, const UnetForward& request, const Plan& plan,
                           const OpRanges& segments) {
    const auto expected = reference->forward(request, nullptr, nullptr);
    const auto actual = unet->forward(request, nullptr, nullptr);
    checks.compare(name, actual, expected, checks.scaled_for_model(kCall),
                   kernels_of(checks.device(), plan, *unet, segments));
  };
  // Odd sizes crop enlargements: other kernels.
  for (const auto& [height, width] : {std::pair(side, side), std::pair(side - 1, side - 3)}) {
    const std::string size = " " + std::to_string(height) + "x" + std::to_string(width);
    if (!begin(head + "full" + size)) continue;
    const UnetShape shape{2, height, width, kTokens, 1};
    const UnetInputs inputs(config, 2, height, width, kTokens);
    UnetForward request = inputs.at(601);
    request.features = branches;
    const Plan plan = plan_unet(config, shape, branches);
    compare(head + "full" + size, request, plan, {});
    request = inputs.at(581);
    for (const int branch : branches) {
      request.retrieve = branch;
      compare(head + "retrieve" + std::to_string(branch) + size, request, plan,
              retrieve_segments(plan, branch));
    }
  }
  for (const int branch : {0, last / 2}) {
    const std::string name =
        head + "deepcache" + std::to_string(branch) + " 7 steps, every 3rd full";
    if (!begin(name)) continue;
    const DenoiseInputs inputs(config, 1, side, side, kTokens);
    const UnetDenoise request = inputs.run(7, 3, branch);
    const auto ignore = [](const UnetProgress&) {};
    const UnetRun expected = reference->denoise(request, nullptr, ignore);
    const UnetRun actual = unet->denoise(request, nullptr, ignore);
    checks.compare(name, actual.latents, expected.latents, checks.scaled_for_model(kRun));
  }
}

void check_vae(Checks& checks, const std::string& model, int side) {
  const std::string config = model_part(model, "vae"), name = "model." + model + ".vae.decode";
  if (config.empty() || !checks.begin(name)) return;
  const auto vae = synthetic_vae(config, checks.device().backend);
  const auto reference = synthetic_vae(config, checks.reference());
  const auto latent = synthetic_input("input.latent", {1, 4, side, side + 1});
  Shape shape;
  const auto expected =
      reference->decode(latent.data(), 1, side, side + 1, false, &shape, nullptr, nullptr);
  checks.compare(
      name, vae->decode(latent.data(), 1, side, side + 1, false, &shape, nullptr, nullptr),
      expected, checks.scaled(kCall),
      kernels_of(checks.device(), plan_vae_decode(vae->config(), 1, side, side + 1), *vae));
}

void check_text(Checks& checks, const std::string& model, const std::string& part) {
  const std::string config = model_part(model, part), name = "model." + model + "." + part;
  if (config.empty() || !checks.begin(name)) return;
  const auto encoder = synthetic_text_encoder(config, checks.device().backend);
  const auto reference = synthetic_text_encoder(config, checks.reference());
  const auto ids = synthetic_ids(2 * kTokens, encoder->config().vocabulary);
  const TextEncoding expected = reference->encode(ids, 2, kTokens, 0, {}, nullptr);
  const TextEncoding actual = encoder->encode(ids, 2, kTokens, 0, {}, nullptr);
  const Plan plan = plan_clip_text(encoder->config(), 2, kTokens, 0);
  checks.compare(name, actual.last, expected.last, checks.scaled(kCall),
                 kernels_of(checks.device(), plan, *encoder));
  checks.compare(name + " pooled", actual.pooled, expected.pooled, checks.scaled(kCall));
}

}  // namespace

void check_model(Checks& checks, const std::string& model, int side) {
  const auto guarded = [&](const std::string& part, const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      checks.add_failure("model." + model + "." + part, error);
    }
  };
  guarded("unet", [&] { check_unet(checks, model, side); });
  guarded("vae", [&] { check_vae(checks, model, side); });
  for (const char* part : {"text_encoder", "text_encoder_2"})
    guarded(part, [&] { check_text(checks, model, part); });
}

void check_repeats(Checks& checks, const std::string& model, int side, int runs) {
  const std::string name =
      "repeats." + model + " of " + std::to_string(runs) + " runs with other bits";
  if (!checks.begin(name)) return;
  const std::string json = model_part(model, "unet");
  const DenoiseInputs inputs(UnetConfig::parse(json), 1, side, side, kTokens);
  const auto unet = synthetic_unet(json, checks.device().backend);
  const auto run = [&] {
    return unet->denoise(inputs.run(7, 3, 0), nullptr, [](const UnetProgress&) {}).latents;
  };
  const std::vector<float> first = run();
  int others = 0;
  for (int i = 1; i < runs; i++) {
    const std::vector<float> again = run();
    others += std::memcmp(first.data(), again.data(), first.size() * sizeof(float)) != 0;
  }
  checks.add(name, others, 0, 0.5, "");
}

void check_memory(Checks& checks, const std::string& model, int runs) {
  constexpr double kMebibyte = 1 << 20, kAllowed = 2;  // the driver's own, whatever the runs
  const std::string name = "memory." + model + " MiB left behind by " + std::to_string(runs);
  if (!checks.begin(name)) return;
  const Device& device = checks.device();
  const std::string json = model_part(model, "unet");
  const UnetConfig config = UnetConfig::parse(json);
  const DenoiseInputs inputs(config, 1, config.sample_height, config.sample_height, kTokens);
  const auto ignore = [](const UnetProgress&) {};
  const auto run = [&](int count) {
    const auto unet = synthetic_unet(json, device.backend);
    for (int i = 0; i < count; i++) {
      unet->denoise(inputs.run(3, 3, 0), nullptr, ignore);
      if (i % 2) unet->trim();  // the next one begins with nothing
    }
  };
  run(2);  // loads the code
  const double before = double(device.backend->available_memory());
  run(runs);
  const double left = (before - double(device.backend->available_memory())) / kMebibyte;
  checks.add(name, std::max(left, 0.0), 0, kAllowed, "");
}

}  // namespace deepcache::bench

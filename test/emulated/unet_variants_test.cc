// U-Nets of further configurations on the emulated GPU against the CPU backend: sinusoids of stored
// frequencies, resnets that scale, shift and resample, tokens before an attention's own. Tolerances
// as for whole models (models_test.cc).

#include "compare.h"
#include "emulated.h"
#include "models/weight_plans.h"
#include "native/unet_inputs.h"

namespace deepcache::test {
namespace {

void check_variants(ActivationType type, double tolerance) {
  for (const ConfigCase& variant : unet_variants()) {
    const UnetConfig config = UnetConfig::parse(variant.text);
    const auto weights = [&] { return synthetic_weights(weight_plans(config)); };
    Unet reference(config, weights(), cpu()),
        unet(config, weights(), emulated_backend(kSm80, type));
    const UnetInputs inputs(config, 2);
    UnetForward request = inputs.request(0, 2);
    const int branch = config.branches() - 2;
    const auto run = [&](const char* what) {
      check_close(variant.name + std::string(what), unet.forward(request, nullptr, nullptr),
                  reference.forward(request, nullptr, nullptr), tolerance);
    };
    request.features = {branch};
    run(", full");
    request.features.clear();
    request.retrieve = branch;
    request.timesteps = {581};
    run(", retrieve");
  }
}

}  // namespace

TEST(quick_unet_variants) {
  const Emulation emulation(11, emulator::Async::late);
  check_variants(ActivationType::fp16, 5e-3);
}
TEST(all_unet_variants_bf16) {
  const Emulation emulation(12, emulator::Async::random);
  check_variants(ActivationType::bf16, 4e-2);
}

}  // namespace deepcache::test

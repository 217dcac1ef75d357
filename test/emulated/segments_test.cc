// Programs whose segments come from several networks, as graphs.

#include "emulated.h"
#include "native/control_checks.h"

namespace deepcache::test {

TEST(quick_segments_take_a_residual_of_another_network) {
  const Emulation emulation(1, emulator::Async::late);
  check_residual_port(*emulated_backend(kSm80, ActivationType::fp16));
}

TEST(quick_segments_of_two_unets_share_a_feature) {
  const Emulation emulation(1, emulator::Async::late);
  check_two_unets(*emulated_backend(kSm80, ActivationType::fp16));
}

TEST(quick_controlnet_adds_to_a_unet) {
  const Emulation emulation(1, emulator::Async::late);
  check_controlnet(emulated_backend(kSm80, ActivationType::fp16), 2e-2);
}

// Roundings of weights are the same at every pixel, so that means keep them: of values up to 1.6,
// 1.6e-3 to 2.3e-3 in models of six widths, whether norms are folded or not.
TEST(quick_controlnet_gives_means) {
  const Emulation emulation(1, emulator::Async::late);
  for (const int device : {kSm80, kSm90})
    check_control_pool(emulated_backend(device, ActivationType::fp16), 4e-3);
}

TEST(quick_controlnet_of_several_kinds) {
  const Emulation emulation(1, emulator::Async::late);
  check_control_union(emulated_backend(kSm80, ActivationType::fp16), 2e-2);
}

}  // namespace deepcache::test

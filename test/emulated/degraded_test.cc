// Self-attention guidance on the emulated GPU.

#include "compare.h"
#include "emulated.h"
#include "native/degraded_checks.h"

namespace deepcache::test {
namespace {

void check_degraded(ActivationType type, int outputs, double tolerance) {
  const DegradedTest gpu(emulated_backend(kSm80, type)), reference(cpu());
  const std::vector<bool> full{true, false, true, false};
  const std::vector<float> latents = gpu.latents(gpu.run(full, outputs));
  check_close("four steps", latents, reference.latents(reference.run(full, outputs)), tolerance);
  CHECK(gpu.latents(gpu.run(full, outputs)) == latents);
}

}  // namespace

TEST(quick_degraded_fp16) {
  const Emulation emulation(41, emulator::Async::late);
  check_degraded(ActivationType::fp16, 3, 2e-2);
}
TEST(all_degraded_alone_fp16) {
  const Emulation emulation(42, emulator::Async::random);
  check_degraded(ActivationType::fp16, 2, 2e-2);
}
TEST(all_degraded_bf16) {
  const Emulation emulation(43, emulator::Async::random);
  // A pixel whose attention is next to the mean may be blurred here and not there. Without any blur
  // it would be 0.5.
  check_degraded(ActivationType::bf16, 3, 3e-1);
}

}  // namespace deepcache::test

// IP-Adapters on the emulated GPU: their tokens, and a U-Net's passes and runs with them.

#include "compare.h"
#include "emulated.h"
#include "native/image_prompt_checks.h"

namespace deepcache::test {
namespace {

void check_image_prompts(ActivationType type, double tolerance) {
  ImagePromptTest gpu(emulated_backend(kSm80, type)), reference(cpu());
  const auto both = [](ImagePromptTest& test) {
    return std::vector<ImagePrompt>{test.prompt(test.base, 2, 0.7f), test.prompt(test.plus, 2, 1)};
  };
  const std::vector<ImagePrompt> actual = both(gpu), expected = both(reference);
  for (size_t i = 0; i < 2; ++i)
    check_close("tokens " + std::to_string(i), gpu.kept[i], reference.kept[i], tolerance);
  const auto plain = gpu.forward({}), pictured = gpu.forward(actual);
  CHECK(pictured != plain);
  check_close("forward", pictured, reference.forward(expected), tolerance);
  check_close("ten steps", gpu.unet->denoise(gpu.run(actual)->request, nullptr, nullptr).latents,
              reference.unet->denoise(reference.run(expected)->request, nullptr, nullptr).latents,
              4 * tolerance);
}

}  // namespace

TEST(quick_image_prompts_fp16) {
  const Emulation emulation(31, emulator::Async::late);
  check_image_prompts(ActivationType::fp16, 5e-3);
}
TEST(all_image_prompts_bf16) {
  const Emulation emulation(32, emulator::Async::random);
  check_image_prompts(ActivationType::bf16, 4e-2);
}

}  // namespace deepcache::test

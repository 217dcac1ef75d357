// Which kernel serves a product: the fast ones must meet the cases that are written for them.

#include "emulated.h"
#include "native/test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

using emulator::Async;

const OpCase& find_case(const std::string& name) {
  for (const OpCase& test : op_cases())
    if (test.name == name) return test;
  throw Failure("there is no case " + name);
}

void check_kernel(Backend& backend, const std::string& name, bool staged,
                  const std::string& expected) {
  const CaseResult result = run_case(find_case(name), backend, {8e-3, staged});
  CHECK_EQ(result.problem, std::string());
  if (result.kernel.find(expected) == std::string::npos)
    throw Failure(name + " is served by: " + result.kernel + "; expected: " + expected);
}

}  // namespace

TEST(quick_products_of_eights_run_on_hopper) {
  const Emulation emulation(1, Async::random);
  const auto gpu = emulated_backend(kSm90, ActivationType::bf16);
  for (const OpCase& test : op_cases())
    if (test.name.find("eights") != std::string::npos && test.name.starts_with("conv_"))
      check_kernel(*gpu, test.name, true, "sm_90a");
  check_kernel(*gpu, "conv_1x1_two_wide_inputs", true, "sm_90a");
  check_kernel(*gpu, "conv_linear_long_k_eights", true, "k split");
  check_kernel(*gpu, "conv_upsample_eights", true, "4 phases");
  check_kernel(*gpu, "conv_gelu_eights", true, "finished apart");
}

TEST(quick_products_that_hopper_leaves_to_others) {
  const Emulation emulation(2, Async::late);
  const auto gpu = emulated_backend(kSm90, ActivationType::bf16);
  check_kernel(*gpu, "conv_3x3_eights", false, "gathered");              // fp32 inputs
  check_kernel(*gpu, "conv_3x3_two_odd_inputs", true, "gathered");       // 37 channels
  check_kernel(*gpu, "conv_upsample_plain_8x10", true, "async copies");  // enlarged as it is read
}

TEST(quick_products_of_few_outputs) {
  const Emulation emulation(4, Async::late);
  for (const int device : {kSm80, kSm86, kSm90}) {
    const auto gpu = emulated_backend(device, ActivationType::bf16);
    for (const char* name : {"conv_narrow", "conv_narrow_odd", "conv_narrow_eight"})
      check_kernel(*gpu, name, true, "matmul 64x8");
    check_kernel(*gpu, "conv_narrow", false, "gathered");  // fp32 inputs
  }
}

TEST(quick_products_of_few_channels) {
  const Emulation emulation(5, Async::random);
  for (const int device : {kSm80, kSm90}) {
    const auto gpu = emulated_backend(device, ActivationType::bf16);
    for (const char* name : {"conv_3x3_few_channels", "conv_5x5", "conv_patches"})
      for (const bool staged : {true, false})
        check_kernel(*gpu, name, staged, "async copies, padded channels");
  }
}

TEST(quick_products_add_shortcuts) {
  const Emulation emulation(3, Async::random);
  for (const int device : {kSm80, kSm90}) {
    const auto gpu = emulated_backend(device, ActivationType::bf16);
    const char* family = device == kSm90 ? "sm_90a" : "async copies";
    for (const char* name : {"conv_shortcut_two_inputs", "conv_shortcut_long_k"}) {
      check_kernel(*gpu, name, true, "with its shortcut");
      check_kernel(*gpu, name, true, family);
    }
    check_kernel(*gpu, "conv_shortcut_odd", true, "with its shortcut");
  }
}

}  // namespace deepcache::test

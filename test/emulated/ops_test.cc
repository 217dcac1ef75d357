// Every op case on the emulated GPUs against the double-precision reference.

#include <cmath>
#include <set>

#include "emulated.h"
#include "native/test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

using emulator::Async;

// Operands are rounded to 16 bits on their way in and, for temporaries, on their way out: fp16 has
// 11 bits, so a rounding's error is at most 2^-12 of the value and 2^-12/sqrt(3) = 1.4e-4 in the
// mean; a product of two rounded operands has sqrt(2) of that in the relative L2 norm, since
// rounding errors are independent, whatever the length of the sum. With the result's rounding,
// attention's second product and the probabilities, four roundings: 2.8e-4. 1e-3 leaves room for
// cancellation in the sums (weights scaled to keep the norm; bias and residual add). bf16 has three
// bits less: eight times as much. A dropped tap, channel, row or key is an error of 1e-2 and more,
// a race one of 1.
double tolerance(const OpCase& test, ActivationType type) {
  double value = type == ActivationType::fp16 ? 1e-3 : 8e-3;
  // Values about 100 with deviations of 1: a rounding is 100 times as large beside what remains.
  if (test.name.find("far_from_zero") != std::string::npos) value *= 100;
  // Scores of up to some 50: their rounding moves a probability by as much more.
  if (test.name.find("sharp") != std::string::npos) value *= 12;
  return value;
}

// All cases, or those that are named, by a kernel whose name contains `kernel`.
void run_all(Backend& backend, ActivationType type, bool staged, const std::set<std::string>& only,
             const std::string& kernel = "") {
  std::string problems;
  for (const OpCase& test : op_cases()) {
    // Timesteps are fp32 inputs of every plan: 16 bits would not hold them.
    if (staged && test.name.find("timestep") != std::string::npos) continue;
    if (!only.empty() && !only.count(test.name)) continue;
    std::string problem;
    try {
      const CaseResult result = run_case(test, backend, {tolerance(test, type), staged});
      problem = result.problem;
      if (problem.empty() && result.kernel.find(kernel) == std::string::npos)
        problem = "is served by " + result.kernel;
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (!problem.empty()) problems += "\n  " + test.name + ": " + problem;
  }
  if (!problems.empty()) throw Failure(problems);
}

void run_all(int device, ActivationType type, bool staged, uint64_t seed, Async async, int resident,
             const std::set<std::string>& only = {}) {
  const Emulation emulation(seed, async, resident);
  const auto backend = emulated_backend(device, type);
  run_all(*backend, type, staged, only);
}

// Those of products of e4m3, by a kernel whose name begins so.
void run_fp8(int device, const std::string& kernel, bool staged, uint64_t seed, Async async,
             int resident) {
  const Emulation emulation(seed, async, resident);
  const auto backend = emulated_backend(device, ActivationType::fp16, true);
  std::set<std::string> only;
  for (const OpCase& test : op_cases())
    if (test.name.starts_with("conv_fp8")) only.insert(test.name);
  run_all(*backend, ActivationType::fp16, staged, only, kernel);
}

// The cases that a newer architecture's kernels are for do not fall back to older ones.
void check_kernels(int device, const std::string& kernel, std::set<std::string> cases) {
  const auto backend = emulated_backend(device, ActivationType::fp16);
  for (const OpCase& test : op_cases()) {
    if (!cases.erase(test.name)) continue;
    const CaseResult result =
        run_case(test, *backend, {tolerance(test, ActivationType::fp16), true});
    if (result.kernel.find(kernel) == std::string::npos)
      throw Failure(test.name + " is served by " + result.kernel);
  }
  if (!cases.empty()) throw Failure("no case " + *cases.begin());
}

}  // namespace

TEST(quick_sm90_serves_attention) {
  check_kernels(kSm90, "flash attention sm_90a",
                {"attention_heads_of_40", "attention_heads_of_64", "attention_heads_of_80",
                 "attention_heads_of_128", "attention_heads_of_160", "attention_first_frame",
                 "attention_text_of_video", "attention_units_of_40", "attention_units_of_160"});
  check_kernels(kSm90, "flash attention 64", {"attention_causal", "attention_narrow"});
}

TEST(quick_wide_attention_as_products) {
  for (const int device : {kSm80, kSm90}) {
    check_kernels(device, "attention as products",
                  {"attention_vae", "attention_wide_in_parts", "attention_wide_heads"});
    check_kernels(device, "flash attention 32 queries", {"attention_vae_few"});
  }
}

// A GPU whose transposed operands have whole 64s of columns only.
TEST(quick_sm90_attention_in_whole_64s) {
  const Emulation emulation(1, Async::late);
  check_kernels(kSm90, " 40 columns", {"attention_heads_of_40"});
  emulator::options.odd_transposed_columns = false;
  check_kernels(kSm90, " 64 columns", {"attention_heads_of_40", "attention_text_of_video"});
  check_kernels(kSm90, " 128 columns", {"attention_heads_of_80", "attention_text_of_80"});
  check_kernels(kSm90, " 192 columns", {"attention_heads_of_160", "attention_text_of_160"});
  run_all(kSm90, ActivationType::fp16, true, 1, Async::random, 1,
          {"attention_heads_of_40", "attention_long", "attention_many_blocks",
           "attention_heads_of_80", "attention_heads_of_160", "attention_text_of_video",
           "attention_text_of_80", "attention_text_of_160"});
}

TEST(quick_ops_fp16_late) { run_all(kSm80, ActivationType::fp16, true, 1, Async::late, 1); }
TEST(quick_ops_fp32_inputs) { run_all(kSm80, ActivationType::fp16, false, 2, Async::random, 1); }
TEST(quick_ops_sm90_late) { run_all(kSm90, ActivationType::fp16, true, 1, Async::late, 1); }
TEST(quick_ops_bf16_random) { run_all(kSm86, ActivationType::bf16, true, 3, Async::random, 2); }

TEST(quick_ops_fp8_late) { run_fp8(kSm89, "e4m3", true, 12, Async::late, 1); }
TEST(quick_ops_fp8_fp32_inputs) { run_fp8(kSm89, "e4m3", false, 13, Async::random, 2); }
TEST(quick_ops_fp8_sm90) { run_fp8(kSm90, "e4m3 sm_90a", true, 14, Async::random, 2); }
TEST(quick_ops_fp8_sm90_fp32_inputs) { run_fp8(kSm90, "e4m3 sm_90a", false, 16, Async::late, 1); }

TEST(quick_gelu_of_infinity) {
  const auto backend = emulated_backend(kSm80, ActivationType::fp16);
  const std::vector<float> out = gelu_of(*backend, {INFINITY, -INFINITY, 3e38f, NAN});
  CHECK_EQ(out[0], INFINITY);
  CHECK_EQ(out[1], 0.0f);
  CHECK_EQ(out[2], 3e38f);
  CHECK(std::isnan(out[3]));
}

TEST(quick_fp8_is_refused_where_there_is_none) {
  for (const int device : {kSm80, kSm86}) {
    std::string message;
    try {
      emulated_backend(device, ActivationType::fp16, true);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kBackendUnavailable);
      message = error.what();
    }
    const char* const has = device == kSm80 ? "emulated sm_80 (sm_80)" : "emulated sm_86 (sm_86)";
    CHECK(message.find(has) != std::string::npos && message.find("fp8") != std::string::npos);
  }
}

TEST(races_fp8) { run_fp8(kSm89, "e4m3", true, 15, Async::random, 2); }
TEST(races_fp8_sm90) { run_fp8(kSm90, "e4m3 sm_90a", true, 17, Async::random, 2); }

TEST(all_ops_fp16_at_issue) { run_all(kSm80, ActivationType::fp16, true, 4, Async::at_issue, 2); }
TEST(all_ops_bf16_late) { run_all(kSm80, ActivationType::bf16, true, 5, Async::late, 2); }
TEST(all_ops_bf16_fp32_inputs) { run_all(kSm80, ActivationType::bf16, false, 6, Async::late, 1); }
TEST(all_ops_sm86_random) { run_all(kSm86, ActivationType::fp16, true, 8, Async::random, 1); }
TEST(all_ops_sm86_interleaved) { run_all(kSm86, ActivationType::fp16, true, 11, Async::random, 4); }
TEST(all_ops_sm90_bf16_random) { run_all(kSm90, ActivationType::bf16, true, 7, Async::random, 3); }
TEST(all_ops_sm90_at_issue) { run_all(kSm90, ActivationType::fp16, true, 9, Async::at_issue, 2); }
TEST(all_ops_sm90_fp32_inputs) { run_all(kSm90, ActivationType::bf16, false, 10, Async::late, 1); }

}  // namespace deepcache::test

// Every op case on every instruction set that this machine runs, with 1, 2 and 3 threads.

#include <cmath>

#include "executions.h"

namespace deepcache::test {
namespace {

void run_all(const cpu::Kernels& kernels, Products products) {
  std::string problems;
  for (const int threads : {1, 2, 3}) {
    cpu::CpuBackend backend(threads, kernels, products);
    for (const OpCase& test : op_cases()) {
      if (products == Products::fp8 && test.name.find("fp8") == std::string::npos) continue;
      CheckOptions options;
      if (products == Products::bf16) {
        options.is_short = true;
        // A softmax's weights and a norm's output are rounded: by 2^-9 at most, and by less in the
        // mean.
        if (test.name.starts_with("attention") || test.name.starts_with("conv_folded"))
          options.tolerance = 3e-3;
      }
      const std::string problem = check_case(test, backend, options);
      if (!problem.empty())
        problems += "\n  " + test.name + ", " + std::to_string(threads) + " threads: " + problem;
    }
  }
  if (!problems.empty()) throw Failure(problems);
}

void run_all(const char* isa, Products products = Products::fp32) {
  const cpu::Kernels* kernels = cpu::find_kernels(isa);
  if (!kernels) throw Skip(std::string("this processor does not run ") + isa);
  run_all(*kernels, products);
}

}  // namespace

TEST(cpu_gelu_of_infinity) {
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    const cpu::Kernels* kernels = cpu::find_kernels(isa);
    if (!kernels) continue;
    cpu::CpuBackend backend(1, *kernels);
    const std::vector<float> out = gelu_of(backend, {INFINITY, 3e38f, NAN});
    CHECK_EQ(out[0], INFINITY);
    CHECK_EQ(out[1], 3e38f);
    CHECK(std::isnan(out[2]));
  }
}

TEST(cpu_ops_baseline) { run_all("baseline"); }
TEST(cpu_ops_avx2) { run_all("avx2"); }
TEST(cpu_ops_avx512) { run_all("avx512"); }
TEST(cpu_ops_fp8_baseline) { run_all("baseline", Products::fp8); }
TEST(cpu_ops_fp8_avx2) { run_all("avx2", Products::fp8); }
TEST(cpu_ops_fp8_avx512) { run_all("avx512", Products::fp8); }
TEST(cpu_ops_bf16_baseline) { run_all("baseline", Products::bf16); }
TEST(cpu_ops_bf16_avx2) { run_all("avx2", Products::bf16); }
TEST(cpu_ops_bf16_avx512) { run_all("avx512", Products::bf16); }
TEST(cpu_ops_bf16_avx512_bf16) { run_all("avx512_bf16", Products::bf16); }
TEST(cpu_ops_bf16_amx) { run_all("amx", Products::bf16); }
TEST(cpu_ops_bf16_neon_bf16) { run_all("neon_bf16", Products::bf16); }
TEST(cpu_ops_bf16_amx_by_reference) { run_all(amx_by_reference(), Products::bf16); }

}  // namespace deepcache::test

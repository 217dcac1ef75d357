// Every op case on every instruction set that this machine runs, with 1, 2 and 3 threads.

#include <cmath>

#include "cpu/backend.h"
#include "test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

void run_all(const char* isa, bool fp8 = false) {
  const cpu::Kernels* kernels = cpu::find_kernels(isa);
  if (!kernels) throw Skip(std::string("this processor does not run ") + isa);
  std::string problems;
  for (const int threads : {1, 2, 3}) {
    cpu::CpuBackend backend(threads, *kernels, fp8);
    for (const OpCase& test : op_cases()) {
      if (fp8 && test.name.find("fp8") == std::string::npos) continue;
      const std::string problem = check_case(test, backend);
      if (!problem.empty())
        problems += "\n  " + test.name + ", " + std::to_string(threads) + " threads: " + problem;
    }
  }
  if (!problems.empty()) throw Failure(problems);
}

}  // namespace

TEST(cpu_gelu_of_infinity) {
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    const cpu::Kernels* kernels = cpu::find_kernels(isa);
    if (!kernels) continue;
    cpu::CpuBackend backend(1, *kernels, false);
    const std::vector<float> out = gelu_of(backend, {INFINITY, 3e38f, NAN});
    CHECK_EQ(out[0], INFINITY);
    CHECK_EQ(out[1], 3e38f);
    CHECK(std::isnan(out[2]));
  }
}

TEST(cpu_ops_baseline) { run_all("baseline"); }
TEST(cpu_ops_avx2) { run_all("avx2"); }
TEST(cpu_ops_avx512) { run_all("avx512"); }
TEST(cpu_ops_fp8_baseline) { run_all("baseline", true); }
TEST(cpu_ops_fp8_avx2) { run_all("avx2", true); }
TEST(cpu_ops_fp8_avx512) { run_all("avx512", true); }

}  // namespace deepcache::test

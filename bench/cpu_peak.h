#pragma once

#include "../native/runtime/backend.h"

namespace deepcache::bench {

struct CpuPeak {
  const char* isa;  // of the kernels that the CPU backend chose
  int threads;
  double gflops;  // all threads together
};

// What this machine reaches right now with nothing but fused multiply-adds in registers, or with
// products of bf16 if the backend's products are: the denominator of "fraction of peak". `threads`
// 0: as the CPU backend chooses. The best of a few short runs, since other processes share the
// machine.
CpuPeak measure_cpu_peak(int threads = 0, Products products = Products::fp32);

}  // namespace deepcache::bench

#pragma once

namespace deepcache::bench {

struct CpuPeak {
  const char* isa;  // of the kernels that the CPU backend chose
  int threads;
  double gflops;  // fp32, all threads together
};

// What this machine reaches right now with nothing but fused multiply-adds in registers: the
// denominator of "fraction of peak". `threads` 0: as the CPU backend chooses. The best of a few
// short runs, since other processes share the machine.
CpuPeak measure_cpu_peak(int threads = 0);

}  // namespace deepcache::bench

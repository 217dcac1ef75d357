#include "cpu_peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/thread_pool.h"

namespace deepcache::bench {

CpuPeak measure_cpu_peak(int threads, Products products) {
  using Clock = std::chrono::steady_clock;
  const bool is_bf16 = products == Products::bf16;
  const cpu::Kernels& kernels = cpu::choose_kernels(is_bf16);
  const auto peak_loop = is_bf16 ? kernels.bf16->peak_loop : kernels.peak_loop;
  cpu::ThreadPool pool(threads);
  constexpr int kRuns = 12, kItems = 8;  // items of each thread
  constexpr double kSeconds = 0.04;      // of a run
  std::vector<float> sink(pool.threads());
  const auto seconds = [&](long rounds, double* flops) {
    std::vector<double> done(pool.threads());
    const auto start = Clock::now();
    pool.run(kItems * pool.threads(),
             [&](int, int thread) { done[thread] += peak_loop(rounds, &sink[thread]); });
    const double time = std::chrono::duration<double>(Clock::now() - start).count();
    *flops = 0;
    for (const double d : done) *flops += d;
    return time;
  };
  double flops = 0;
  const long trial = 200000;
  const long rounds = std::max(1L, long(double(trial) * kSeconds / seconds(trial, &flops)));
  double best = 0;
  for (int i = 0; i < kRuns; i++) {
    const double time = seconds(rounds, &flops);
    best = std::max(best, flops / time);
  }
  return {kernels.name, pool.threads(), best * 1e-9};
}

}  // namespace deepcache::bench

#include "cpu_peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/thread_pool.h"

namespace deepcache::bench {

CpuPeak measure_cpu_peak(int threads) {
  using Clock = std::chrono::steady_clock;
  const cpu::Kernels& kernels = cpu::choose_kernels();
  cpu::ThreadPool pool(threads);
  constexpr int kRuns = 12, kItems = 8;  // items of each thread
  constexpr double kSeconds = 0.04;      // of a run
  std::vector<float> sink(pool.threads());
  const auto seconds = [&](long rounds, double* flops) {
    std::vector<double> done(pool.threads());
    const auto start = Clock::now();
    pool.run(kItems * pool.threads(),
             [&](int, int thread) { done[thread] += kernels.peak_loop(rounds, &sink[thread]); });
    const double time = std::chrono::duration<double>(Clock::now() - start).count();
    *flops = 0;
    for (const double d : done) *flops += d;
    return time;
  };
  double flops = 0;
  const long trial = 1000000;
  const long rounds = std::max(1L, long(double(trial) * kSeconds / seconds(trial, &flops)));
  double best = 0;
  for (int i = 0; i < kRuns; i++) {
    const double time = seconds(rounds, &flops);
    best = std::max(best, flops / time);
  }
  return {kernels.name, pool.threads(), best * 1e-9};
}

}  // namespace deepcache::bench

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "../native/cuda/host/backend.h"
#include "report.h"

namespace deepcache::bench {

// What is measured: a backend, and its clock.
struct Device {
  std::string name;  // "cpu", "cuda:1"
  std::string type;  // of activations: "fp32", "fp16", "bf16"; or "fp8", what products are of
  std::shared_ptr<Backend> backend;
  cuda::CudaBackend* gpu = nullptr;  // the backend, unless it is the CPU's

  size_t activation_bytes() const { return gpu ? 2 : 4; }
  // The time of what `enqueue` enqueues: a GPU's own clock, the wall clock for the CPU.
  double seconds(const std::function<void()>& enqueue) const;
};

// `device`: 'cpu', 'cuda' or 'cuda:<number>'; `type`: "fp16", "bf16" or "fp8"; the CPU takes all
// but the last for "fp32". Throws Error(kInvalidArgument) or Error(kBackendUnavailable).
Device open_device(const std::string& device, const std::string& type, int threads);

// For reports: machine, date, commit, and of a GPU its name, driver, clocks and power limit.
JsonObject describe(const Device& device, const std::string& what);

// What a GPU's kernels use and do without, in a line (cuda::CudaBackend::describe).
std::string features_of(const Device& device);

// A GPU's clocks, power and temperature now, as nvidia-smi tells.
std::string gpu_clocks(const Device& device);

// Repeated measurements.
struct Timing {
  double median = 0, low = 0, high = 0;  // seconds; low and high leave out a tenth on each side
  int runs = 0;
  void add_to(JsonObject& row) const;
  // Replaces each time by what `to` makes of it.
  template <typename To>
  void change(const To& to) {
    for (double* time : {&median, &low, &high}) *time = to(*time);
  }
};

// Warms up, then repeats `enqueue` for about `budget` seconds, but 3 to 200 times (with a budget of
// 0 once, without warming up), each time behind a `prepare` that is not measured.
Timing measure(const Device& device, double budget, const std::function<void()>& prepare,
               const std::function<void()>& enqueue);

}  // namespace deepcache::bench

#pragma once

#include <functional>
#include <string>

#include "../native/runtime/error.h"
#include "device.h"
#include "workers.h"

namespace deepcache::bench {

// The errors of a device against the CPU backend, case by case: what a worker does.
class Checks {
 public:
  // Leaves out the first `skipped` of the cases that the filter lets through.
  Checks(const Device& device, std::string filter, int skipped, const Messages& messages);

  const Device& device() const { return device_; }
  const std::shared_ptr<Backend>& reference() const { return reference_; }
  // fp16 tolerances; bf16 has three bits less.
  double scaled(double tolerance) const {
    return device_.type == "bf16" ? 8 * tolerance : tolerance;
  }
  // Of a whole model. A value that rounding to fp16 moves over the border between two codes of e4m3
  // moves by their distance: networks of fp8 are soon as far apart as each is from fp32.
  double scaled_for_model(double tolerance) const {
    return device_.type == "fp8" ? 20 * tolerance : scaled(tolerance);
  }
  // Whether the case is to be run; prints its name, so that a hang has one.
  bool begin(const std::string& name);

  // Prints and records a row of the case. `problem`: what else is wrong; empty when nothing is.
  void add(const std::string& name, double error, double largest, double tolerance,
           const std::string& kernel, const std::string& problem = "");
  // A row of what was thrown instead; gives up when the GPU may be lost by it.
  void add_failure(const std::string& name, const Error& error);
  // The same for a device's values and the reference's.
  void compare(const std::string& name, const std::vector<float>& actual,
               const std::vector<float>& expected, double tolerance,
               const std::string& kernel = "");

 private:
  Device device_;
  std::shared_ptr<Backend> reference_;
  std::string filter_;
  const Messages& messages_;
  int skipped_, cases_ = 0;
  std::string begun_;  // whose name stands on a line of its own
};

// Every op case (test/ops/), against double precision; those that say first whether a GPU's
// features work come first, and are all with `smoke`.
void check_op_table(Checks& checks, bool smoke);
// Every distinct op of a model's U-Net as it is at `side` x `side` latents and a batch of 2.
void check_op_shapes(Checks& checks, const std::string& model, int side);
// Full and retrieve calls of its U-Net, a DeepCache run with the sampler, and its autoencoder and
// text encoder where there are such.
void check_model(Checks& checks, const std::string& model, int side);

// A DeepCache run of a model, `runs` times: each must have the same bits, or threads race.
void check_repeats(Checks& checks, const std::string& model, int side, int runs);

// Device memory that `runs` runs of a model, most of them with sessions of their own, leave behind.
void check_memory(Checks& checks, const std::string& model, int runs);

struct CheckRequest {
  std::function<Device()> open;
  std::vector<std::string> parts;   // smoke, ops, shapes, models, repeats, memory
  std::vector<std::string> models;  // each at its own latent size or, if that is larger, `side`
  int side = 0, runs = 0;
  double patience = 0;  // seconds for a case
  std::string filter, json;
};

// All of that, in processes of their own: a fault or a hang loses its case and no other. Returns 1
// when a row failed. Throws Error(kInvalidArgument), also when there is no such device.
int check(const CheckRequest& request);

}  // namespace deepcache::bench

#pragma once

#include <string>

#include "device.h"

namespace deepcache::bench {

// The errors of a device against the CPU backend, row by row.
class Checks {
 public:
  Checks(const Device& device, std::string filter, Report& report);

  const Device& device() const { return device_; }
  const std::shared_ptr<Backend>& reference() const { return reference_; }
  // fp16 tolerances; bf16 has three bits less.
  double scaled(double tolerance) const {
    return device_.type == "bf16" ? 8 * tolerance : tolerance;
  }
  bool wants(const std::string& name) const { return name.find(filter_) != std::string::npos; }

  // Prints and records a row. `problem`: what else is wrong; empty when nothing is.
  void add(const std::string& name, double error, double largest, double tolerance,
           const std::string& kernel, const std::string& problem = "");
  // The same for a device's values and the reference's.
  void compare(const std::string& name, const std::vector<float>& actual,
               const std::vector<float>& expected, double tolerance,
               const std::string& kernel = "");
  int passed() const { return passed_; }
  int failed() const { return failed_; }

 private:
  Device device_;
  std::shared_ptr<Backend> reference_;
  std::string filter_;
  Report& report_;
  int passed_ = 0, failed_ = 0;
};

// Every op case (test/ops/), against double precision.
void check_op_table(Checks& checks);
// Every distinct op of a model's U-Net as it is at `side` x `side` latents and a batch of 2.
void check_op_shapes(Checks& checks, const std::string& model, int side);
// Full and retrieve calls of its U-Net, a DeepCache run with the sampler, and its autoencoder and
// text encoder where there are such.
void check_model(Checks& checks, const std::string& model, int side);

// Device memory that `runs` runs of a model, most of them with sessions of their own, leave behind.
void check_memory(Checks& checks, const std::string& model, int runs);

// All of that for the models, each at the latent size of its configuration or, if that is larger,
// `side`. Returns the number of rows that failed.
int check(const Device& device, const std::vector<std::string>& parts,
          const std::vector<std::string>& models, int side, int runs, const std::string& filter,
          const std::string& json);

}  // namespace deepcache::bench

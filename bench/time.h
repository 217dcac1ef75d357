#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "device.h"
#include "ops.h"
#include "workers.h"

namespace deepcache::bench {

struct TimeOptions {
  std::function<Device()> open;
  std::vector<std::string> parts;   // steps, images, ops
  std::vector<std::string> models;  // of bench/models
  std::vector<int> batches;         // images: a U-Net call has twice as many samples
  std::vector<int> intervals;       // of DeepCache; 1: none
  int side = 0;                     // of latents; 0: the model's own
  int steps = 50;                   // of a run
  int ceiling = 8192;               // rows, columns and depth of the largest product
  double budget = 0.3;              // seconds for each row; 0: each once, as a rehearsal
  double limit = 1e9;               // seconds in all: rows that would begin later are left out
  double patience = 1e6;            // seconds for a row, before its process is killed
  std::string filter, json;
};

// One run of the program as a row of a denoising run, for about `budget` seconds.
Timing time_program(const Device& device, RandomProgram& program, double budget);

// What the device reaches in this very run: the denominators of the rows.
struct Ceilings {
  double flops = 0;  // of the largest matrix product (a GPU), or of the fp32 peak (the CPU)
  double bytes = 0;  // a second, of a copy
};

// What earlier processes of the same run have found out: a row at which one ended is not begun
// again.
struct Found {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::map<std::string, double> seconds;  // of rows; 0 of what failed
  Ceilings ceilings;
  double row_overhead = 0;  // seconds that an almost empty row takes
};

// Rows of one run, as a worker measures them and tells them.
class Timings {
 public:
  Timings(const Device& device, const TimeOptions& options, const Found& found,
          const Messages& messages);

  const Device& device() const { return device_; }
  const TimeOptions& options() const { return options_; }
  const Ceilings& ceilings() const { return ceilings_; }
  // A row's whole name: "sd15.full.b1.fp16".
  std::string name(const std::string& what, int batch) const {
    return what + ".b" + std::to_string(batch) + "." + device_.type;
  }
  bool late() const { return seconds_so_far() >= options_.limit; }
  // Begins something that may fail. False when it did in an earlier process, or is a row that was
  // measured there.
  bool begins(const std::string& what) const;
  // Begins a row. False, too, when the filter leaves it out or the time is up.
  bool wants(const std::string& name);
  // Of a row that an earlier process has measured; 0 of any other.
  double found(const std::string& name) const;
  // Measures a program that passes `passes` times through what costs `cost`, and records a pass.
  // Returns the median in seconds.
  double measure_row(const std::string& name, const OpCost& cost, int passes,
                     RandomProgram& program, const JsonObject& extra);
  void add(double seconds, const JsonObject& row) const;
  void finish() const;

 private:
  double seconds_so_far() const;
  void measure_ceilings();
  // Of one run of the program, what a row of a denoising run adds to it taken off.
  Timing time_without_overhead(RandomProgram& program) const;

  Device device_;
  const TimeOptions& options_;
  const Found& found_;
  const Messages& messages_;
  Ceilings ceilings_;
  double row_overhead_;
  int left_out_ = 0;
};

// U-Net calls, the autoencoder and text encoders of a model; runs with and without DeepCache, whose
// speed-up is held against the ideal one that the calls' own times allow; and the U-Net's distinct
// ops.
void time_model(Timings& timings, const std::string& model);
void time_ops(Timings& timings, const std::string& model);
// A large product once with each tile: what its main loop reaches.
void time_tiles(Timings& timings);

// A matrix product of so many rows, columns and k.
Plan product_plan(int size);

// Each in a process that a fault may take with it: the next one goes on behind the row that it was
// at. Returns whether any row failed.
bool time_device(const TimeOptions& options);

}  // namespace deepcache::bench

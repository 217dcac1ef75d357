#pragma once

// The ops of a plan, one at a time: what is like what, what each costs, and plans of single ops.

#include <string>
#include <vector>

#include "../native/runtime/table.h"
#include "device.h"

namespace deepcache::bench {

// Arithmetic and least memory traffic of an op, with activations of `activation_bytes` each.
struct OpCost {
  double macs = 0;   // that the kernels execute: phases of an upsampling convolution have 2x2 taps
  double bytes = 0;  // of inputs, weights and the output, each once
  double weight_bytes = 0;
  double exponentials = 0;  // of attention's softmax
};
OpCost cost_of(const Plan& plan, const Op& op, size_t activation_bytes);

// E.g. "conv 3x3 640+320->320 2x64x64 row residual": what kernels depend on, without names.
std::string describe(const Plan& plan, const Op& op);

// The ops of a plan that differ in describe().
struct DistinctOp {
  std::string name;
  const Op* op = nullptr;  // the first of them
  int count = 0;
};
std::vector<DistinctOp> distinct_ops(const Plan& plan);

// A plan that runs one op `copies` times: on the same activations, each time with weights of its
// own (in a model an op's input was just written, while its weights come from memory). With
// `readable` the output is copied to the port {out, 0}.
Plan isolate(const Plan& plan, const Op& op, int copies, bool readable = false);

// A compiled plan with memory of its own, everything filled with random numbers, the same on every
// device.
class RandomProgram {
 public:
  // `weights`: a model's; null: random ones. Runs `segments` of the plan, or all of it.
  RandomProgram(Plan plan, const Device& device, Weights* weights = nullptr,
                const OpRanges& segments = {});
  void run() { run_segments(segments_, 0, nullptr, nullptr); }
  // The same as rows of a denoising run of one latent pixel, which is how a GPU runs a graph:
  // begin() prepares, enqueue() runs all `rows` (at most kMostRows).
  static constexpr int kMostRows = 32;
  void begin(int rows);
  void enqueue();
  const Plan& plan() const { return plan_; }
  // Of the ops that run.
  std::vector<std::string> kernels() const;
  // The values of an external tensor.
  std::vector<float> read(Port port) const;

 private:
  Plan plan_;
  std::unique_ptr<Weights> weights_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::unique_ptr<Buffer> arena_;
  std::unique_ptr<Program> program_;
  Segments segments_;

  Backend& backend_;
  std::unique_ptr<Loop> loop_;
  StepTable table_;
  SamplerState state_;
  std::vector<std::unique_ptr<Buffer>> latents_;
};

}  // namespace deepcache::bench

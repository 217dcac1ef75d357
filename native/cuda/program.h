#pragma once

// A plan made of launches: everything is chosen and allocated when it is made, running it only
// enqueues.

#include <climits>
#include <compare>
#include <memory>
#include <string>
#include <vector>

#include "cuda/kernels/slices.h"
#include "cuda/op.h"

namespace deepcache::cuda {

class DeviceProgram {
 public:
  DeviceProgram(Context& context, const ProgramSpec& spec);
  // Enqueues ops [first, last).
  void run(int step, int first, int last) const;
  // The same on any stream. The slices of the step must have been fetched.
  void enqueue(int first, int last, Stream stream) const;
  // Of stepped tensors: ops read a copy of the step's slice, so that their arguments are the same
  // in all steps.
  const Slices& slices() const { return slices_; }
  // Throws Error(kInternal) when a stepped tensor has no such slice.
  void check_step(int step) const;
  const char* kernel(int op) const { return kernels_[op].c_str(); }
  Context& context() { return context_; }

 private:
  void place_slices();
  RowSums place_row_sums(std::vector<Op>& ops, const WeightPlace* weights);

  Context& context_;
  std::vector<TensorPlace> tensors_;
  std::vector<std::unique_ptr<DeviceOp>> ops_;  // null: added to a later product
  std::vector<std::string> kernels_;            // that serve the ops, for reports
  std::vector<std::string> names_;              // of the ops, for errors
  std::vector<bool> is_folded_;                 // layer norms that products do along
  Slices slices_;
  int last_step_ = INT_MAX;
  gpu::Memory slice_memory_;
  gpu::Memory workspace_;  // of one op at a time
  gpu::Memory row_sums_;   // RowSums, of one tensor at a time
};

// Ops [first, last) of a program; a pass is some of these.
struct DeviceSegment {
  const DeviceProgram* program;
  int first, last;
  auto operator<=>(const DeviceSegment&) const = default;
};
using DeviceSegments = std::vector<DeviceSegment>;

// Of all their programs.
Slices slices_of(const DeviceSegments& segments);

}  // namespace deepcache::cuda

#pragma once

// A plan made of launches: everything is chosen and allocated when it is made, running it only
// enqueues.

#include <map>
#include <string>
#include <vector>

#include "cuda/product.h"

namespace deepcache::cuda {

class DeviceProgram {
 public:
  DeviceProgram(Context& context, const ProgramSpec& spec);
  // Enqueues ops [first, last).
  void run(int step, int first, int last);
  const char* kernel(int op) const { return kernels_[op].c_str(); }
  Context& context() { return context_; }

 private:
  template <typename T>
  void launch(int index, const Operands& operands);
  // What the convolution adds to its sums instead of its residual, or null.
  const Conv* shortcut(const Conv& conv) const;
  size_t prepare(const Op& op, const Operands& operands);

  Context& context_;
  std::vector<Op> ops_;
  std::vector<TensorPlace> tensors_;
  std::vector<WeightPlace> weights_;
  std::vector<bool> is_added_;        // ops that later products do along
  std::map<int, Product> products_;   // by op
  std::vector<std::string> kernels_;  // that serve the ops, for reports
  gpu::Memory workspace_;             // of one op at a time
};

}  // namespace deepcache::cuda

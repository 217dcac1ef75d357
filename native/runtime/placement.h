#pragma once

// Where the tensors of a plan lie once buffers are bound to it.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend.h"

namespace deepcache {

struct Placement {
  Buffer* buffer = nullptr;
  size_t offset = 0;  // bytes
  // Of a stepped external: bytes between its slices, and the last of them.
  size_t step = 0;
  int last_step = 0;
  Type type = Type::activation;
};

// By tensor id. `bindings` in the order of plan.externals(). Throws Error(kInternal) when they do
// not belong to the plan or a buffer is too small: a mistake in model code.
std::vector<Placement> place_tensors(const Plan& plan, Buffer& arena,
                                     const std::vector<Binding>& bindings, Type activation,
                                     Execution how = Execution::op_by_op);

// Throws Error(kInternal) when a stepped tensor has no such slice.
void check_step(const std::vector<Placement>& placements, int step);

// A plan's labels by the tensors that they name.
using Labels = std::multimap<int, std::pair<std::string, Tensor>>;
Labels labels_by_tensor(const Plan& plan);

}  // namespace deepcache

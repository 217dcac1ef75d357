#pragma once

// Which values need no more bits than the operands of products have (Execution::mixed).

#include <functional>
#include <vector>

#include "ops.h"

namespace deepcache {

// Of each of `count` tensors, whether a backend whose products are of bf16 may keep it in bf16:
// what convolutions, attention and norms write, and nothing reads but products, which round it in
// any case, so that no bit of any result changes; with `norms`, nor GroupNorms, whose inputs lose
// bits then. Wide stays what is added to something, and its sum (residuals, rows), what other ops
// (and attention that copies values) read or write, what products in full precision
// (WeightSpec::full) read, and what `is_external` to the plan.
std::vector<bool> find_narrow(const std::vector<Op>& ops, const WeightSpecs& weights, bool norms,
                              size_t count, const std::function<bool(int tensor)>& is_external);

}  // namespace deepcache

#pragma once

// Executes an op naively in double precision: what every backend is compared with.

#include <map>
#include <set>
#include <vector>

#include "runtime/plan.h"

namespace deepcache::test {

// The values of a plan's tensors and weights. Weights are as in the file: [out, in, kh, kw] with
// the rows of all tensors of the spec, whatever its recipe.
struct ReferenceState {
  std::map<int, std::vector<double>> tensors;  // by tensor id
  std::map<int, std::vector<double>> weights;  // by weight id
  std::set<int> fp8;                           // of these, those of products of e4m3

  // Empty where an op has none.
  const std::vector<double>& get(const Tensor& tensor) const;
  const std::vector<double>& parameter(WeightId id) const;
  // Zeros.
  std::vector<double>& output(const Tensor& tensor);
  // x ++ x2 along the channels.
  std::vector<double> join(const Tensor& x, const Tensor& x2) const;
};

double activate(Activation activation, double x);

// Of each op (ops/).
#define DEEPCACHE_OP(Type, name) void reference(const Type& op, ReferenceState& state);
DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP

void run_reference(const Op& op, ReferenceState& state);

// |actual - expected| / |expected|, over all values; infinite when a value is not finite.
double relative_error(const std::vector<float>& actual, const std::vector<double>& expected);
// The largest |actual - expected|, in units of the expected values' root mean square.
double largest_error(const std::vector<float>& actual, const std::vector<double>& expected);

}  // namespace deepcache::test

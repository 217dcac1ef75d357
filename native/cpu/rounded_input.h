#pragma once

// The input of a product of e4m3 (docs/fp8.md), rounded to what its codes stand for.

#include "cpu/op.h"

namespace deepcache::cpu {

class RoundedInput {
 public:
  RoundedInput(const Conv& op, const Kernels& kernels) : op_(op), kernels_(kernels) {}

  // Of RunContext::shared, where make() leaves the values.
  size_t bytes() const;
  void make(const RunContext& context) const;
  const float* values(const RunContext& context) const {
    return reinterpret_cast<const float*>(context.shared);
  }

 private:
  void make_rows(const RunContext& context, float* to) const;
  void make_samples(const RunContext& context, float* to) const;

  const Conv& op_;
  const Kernels& kernels_;
};

}  // namespace deepcache::cpu

#pragma once

// An op of a plan, bound to kernels and packed weights: what a CPU program is a list of.

#include <memory>

#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "cpu/weights.h"
#include "runtime/plan.h"

namespace deepcache::cpu {

// What an op needs while it runs.
struct RunContext {
  ThreadPool& pool;
  char* const* tensors;  // where each tensor of the plan lies in this run
  char* shared;          // the op's shared_bytes(), aligned
  const CancelFlag* cancel;

  float* floats(const Tensor& tensor) const {
    return tensor ? reinterpret_cast<float*>(tensors[tensor.id]) : nullptr;
  }
  const int32_t* ints(const Tensor& tensor) const {
    return reinterpret_cast<const int32_t*>(tensors[tensor.id]);
  }
};

class CpuOp {
 public:
  virtual ~CpuOp() = default;
  // Scratch that the op's threads share.
  virtual size_t shared_bytes() const { return 0; }
  virtual void run(const RunContext& context) const = 0;
};

// What ops are made from. weight() is null for "none".
struct OpContext {
  const Plan& plan;
  Weights& weights;
  const Kernels& kernels;
  Products products;
  int threads;
  Execution execution;

  // The norm whose output the convolution makes itself; null: none.
  const GroupNorm* norm(const Conv& conv) const;
  const CpuWeight* weight(WeightId id) const;
  const float* vector(WeightId id) const;
};

// Of each op (cpu/ops/).
#define DEEPCACHE_OP(Type, name) \
  std::unique_ptr<CpuOp> make_op(const Type& op, const OpContext& context);
DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP

}  // namespace deepcache::cpu

#pragma once

// An op of a plan, bound to kernels and packed weights: what a CPU program is a list of.

#include <bit>
#include <memory>

#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "cpu/weights.h"
#include "runtime/plan.h"

namespace deepcache::cpu {

inline float value_of(float x) { return x; }
inline float value_of(Bf16 x) { return std::bit_cast<float>(uint32_t(x) << 16); }

// What an op needs while it runs.
struct RunContext {
  ThreadPool& pool;
  char* const* tensors;  // where each tensor of the plan lies in this run
  char* shared;          // the op's shared_bytes(), aligned
  const CancelFlag* cancel;

  float* floats(const Tensor& tensor) const {
    return tensor ? reinterpret_cast<float*>(tensors[tensor.id]) : nullptr;
  }
  Bf16* bf16(const Tensor& tensor) const { return reinterpret_cast<Bf16*>(tensors[tensor.id]); }
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
  // Whether the tensor's values are of bf16 (Plan::is_narrow()).
  bool is_narrow(const Tensor& tensor) const;
  // Whether y lies where x does.
  bool is_over(const Tensor& y, const Tensor& x) const;
  const CpuWeight* weight(WeightId id) const;
  const float* vector(WeightId id) const;
};

// Of each op (cpu/ops/).
#define DEEPCACHE_OP(Type, name) \
  std::unique_ptr<CpuOp> make_op(const Type& op, const OpContext& context);
DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP

}  // namespace deepcache::cpu

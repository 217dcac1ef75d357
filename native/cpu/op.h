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
  int threads;

  const CpuWeight* weight(WeightId id) const;
  const float* vector(WeightId id) const;
};

std::unique_ptr<CpuOp> make_conv(const Conv& op, const OpContext& context);
std::unique_ptr<CpuOp> make_group_norm(const GroupNorm& op, const OpContext& context);
std::unique_ptr<CpuOp> make_layer_norm(const LayerNorm& op, const OpContext& context);
std::unique_ptr<CpuOp> make_attention(const Attention& op, const OpContext& context);
// The rest: element by element, gathers and copies.
std::unique_ptr<CpuOp> make_simple(const Op& op, const OpContext& context);

}  // namespace deepcache::cpu

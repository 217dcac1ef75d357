#pragma once

#include <string>
#include <vector>

#include "cuda/host/backend.h"
#include "runtime/placement.h"

namespace deepcache::cuda {

// A plan handed to the library: tensors as addresses, weights packed as `specs` say, one for each
// of the plan's.
class CudaProgram : public Program {
 public:
  CudaProgram(const Api& api, Context* context, ActivationType type, const Plan& plan,
              const std::vector<WeightSpec>& specs, Weights& weights, Buffer& arena,
              const std::vector<Binding>& bindings);
  ~CudaProgram() override;
  // The kernel that serves each op, in words.
  std::vector<std::string> kernels() const override;

 protected:
  void run_ops(OpRange ops, int step, const CancelFlag* cancel, const Tap* tap) override;

 private:
  friend class CudaLoop;
  void run_tapped(OpRange ops, int step, const CancelFlag* cancel, const Tap& tap);

  const Api& api_;
  Context* context_;
  ActivationType type_;
  ProgramHandle* handle_ = nullptr;
  std::vector<Tensor> outputs_;      // of the ops
  std::vector<TensorPlace> places_;  // by tensor
  Labels labels_;
};

}  // namespace deepcache::cuda

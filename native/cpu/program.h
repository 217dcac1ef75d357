#pragma once

#include <memory>
#include <vector>

#include "cpu/op.h"
#include "runtime/placement.h"

namespace deepcache::cpu {

class CpuBackend;

class CpuProgram : public Program {
 public:
  CpuProgram(const Plan& plan, Weights& weights, Buffer& arena,
             const std::vector<Binding>& bindings, CpuBackend& backend);

 protected:
  void run_ops(OpRange ops, int step, const CancelFlag* cancel, const Tap* tap) override;

 private:
  struct Step {
    std::unique_ptr<CpuOp> op;
    Tensor output;
    bool is_narrow;  // the output
  };

  std::vector<Placement> placements_;  // by tensor
  std::vector<char*> tensors_;
  Labels labels_;
  ThreadPool& pool_;
  std::vector<Step> steps_;
  Memory shared_;
};

}  // namespace deepcache::cpu

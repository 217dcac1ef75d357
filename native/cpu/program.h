#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cpu/op.h"

namespace deepcache::cpu {

class CpuProgram : public Program {
 public:
  CpuProgram(const Plan& plan, Weights& weights, Buffer& arena,
             const std::vector<Binding>& bindings, const Kernels& kernels, ThreadPool& pool);
  void run(int step, const CancelFlag* cancel, const Tap* tap) override;

 private:
  struct Step {
    std::unique_ptr<CpuOp> op;
    Tensor output;
  };
  // A tensor's memory; that of a stepped external moves by `step` bytes with each step.
  struct Place {
    char* data = nullptr;
    size_t step = 0, last_step = 0;
  };

  ThreadPool& pool_;
  std::vector<Step> steps_;
  std::vector<Place> places_;  // by tensor
  std::vector<char*> tensors_;
  Memory shared_;
  std::multimap<int, std::pair<std::string, Tensor>> labels_;  // by tensor
};

}  // namespace deepcache::cpu

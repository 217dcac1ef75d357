#pragma once

#include "runtime/backend.h"

namespace deepcache::cpu {

// Rows one after the other, each computed when it is enqueued.
class CpuLoop : public Loop {
 public:
  void begin(const StepTable& table, const SamplerState& state,
             const std::vector<Segments>& programs) override;
  float change() override;
  void enqueue(bool skips, const CancelFlag* cancel) override;
  void wait(int /*row*/) override {}
  int rows_in_flight() const override { return 1; }

 private:
  const StepTable* table_ = nullptr;
  const SamplerState* state_ = nullptr;
  std::vector<Segments> programs_;
  int next_ = 0;
};

}  // namespace deepcache::cpu

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
  void input(bool skips) override;
  void apply(bool skips) override;
  void wait(int /*row*/) override {}
  int rows_in_flight() const override { return 1; }

 private:
  int program(bool skips) const;  // of the next row

  const StepTable* table_ = nullptr;
  const SamplerState* state_ = nullptr;
  std::vector<Segments> programs_;
  int next_ = 0;
};

}  // namespace deepcache::cpu

#pragma once

#include "cuda/host/backend.h"

namespace deepcache::cuda {

// Hands step tables to the library's loop, which launches a graph for each row.
class CudaLoop : public Loop {
 public:
  CudaLoop(const Api& api, Context* context) : api_(api) {
    call(api_.loop_create, context, &handle_);
  }
  ~CudaLoop() override { api_.loop_destroy(handle_); }

  void begin(const StepTable& table, const SamplerState& state,
             const std::vector<Segments>& programs) override;
  float change() override;
  void enqueue(bool skips, const CancelFlag* cancel) override;
  void input(bool skips) override { call(api_.loop_input, handle_, bool(skips)); }
  void apply(bool skips) override { call(api_.loop_apply, handle_, bool(skips)); }
  void wait(int row) override { call(api_.loop_wait, handle_, row); }
  int rows_in_flight() const override { return 2; }

 private:
  const Api& api_;
  LoopHandle* handle_ = nullptr;
};

}  // namespace deepcache::cuda

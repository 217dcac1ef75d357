#pragma once

// Rows of a step table without a model: the program of every row computes nothing, so that the
// model's output is what the state holds.

#include "runtime/backend.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {

class EmptyProgram {
 public:
  explicit EmptyProgram(Backend& backend)
      : weights_(OpBuilder(1).source(), backend), arena_(backend.allocate(0)) {
    Plan plan;
    plan.finish();
    program_ = backend.compile(plan, weights_, *arena_, {});
  }
  Segments segments() const { return program_->whole(); }

 private:
  Weights weights_;
  std::unique_ptr<Buffer> arena_;
  std::unique_ptr<Program> program_;
};

inline void run_rows(Backend& backend, const StepTable& table, const SamplerState& state) {
  const EmptyProgram program(backend);
  const std::unique_ptr<Loop> loop = backend.make_loop();
  loop->begin(table, state, {program.segments()});
  for (size_t row = 0; row < table.rows.size(); row++) loop->enqueue(false, nullptr);
  backend.synchronize();
}

}  // namespace deepcache::test

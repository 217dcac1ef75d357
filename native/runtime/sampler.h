#pragma once

// Runs a step table: the whole denoising loop in one call, without leaving the device.

#include <cmath>
#include <functional>
#include <vector>

#include "backend.h"

namespace deepcache {

// Whether the state's x and x0 will be read after the row.
using Reads = std::function<bool(int row)>;
// A row that has ended.
struct StepReport {
  int row = 0;
  int program = 0;     // that ran; kNoProgram: none
  float change = NAN;  // of a row that had to choose: see Loop::change()
};
// After each row. Where `reads` says so, x and x0 may be downloaded.
using StepCallback = std::function<void(const StepReport&)>;

// `prepare` is called before a row is enqueued. `programs` belong to table.programs, in order.
// Throws Error(kAborted) soon after `cancel` became true; the state is then meaningless.
void run_table(Loop& loop, const StepTable& table, const SamplerState& state,
               const std::vector<Segments>& programs, const CancelFlag* cancel, const Reads& reads,
               const StepCallback& on_step, const std::function<void(int row)>& prepare = nullptr);

}  // namespace deepcache

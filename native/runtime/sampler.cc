#include "sampler.h"

#include "error.h"

namespace deepcache {

void run_table(Loop& loop, const StepTable& table, const SamplerState& state,
               const std::vector<Segments>& programs, const CancelFlag* cancel, const Reads& reads,
               const StepCallback& on_step, const StepCallback& prepare) {
  const int rows = int(table.rows.size()), behind = loop.rows_in_flight() - 1;
  loop.begin(table, state, programs);
  int done = 0;
  const auto finish_until = [&](int end) {
    for (; done < end; ++done) {
      loop.wait(done);
      on_step(done);
    }
  };
  for (int row = 0; row < rows; ++row) {
    if (cancel && *cancel) throw Error(ErrorCode::kAborted, "The run was aborted");
    if (prepare) prepare(row);
    loop.enqueue(cancel);
    // Another row would change what is to be read.
    finish_until(reads && reads(row) ? row + 1 : row + 1 - behind);
  }
  finish_until(rows);
}

}  // namespace deepcache

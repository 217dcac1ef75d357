#include "sampler.h"

#include "error.h"

namespace deepcache {

namespace {

// Which rows skip their program; the same for all devices.
class Skipping {
 public:
  Skipping(Loop& loop, const StepTable& table) : loop_(loop), table_(table) {}

  // Of the next row.
  StepReport choose(int index) {
    const StepRow& row = table_.rows[size_t(index)];
    StepReport report{index, row.program};
    // Where there is no choice nothing is measured: a GPU would wait for it.
    if (full_ && skipped_ < row.max_skips) {
      report.change = loop_.change();
      if (report.change < row.skip_below) {
        report.program = row.instead;
        skipped_++;
        return report;
      }
    }
    skipped_ = 0;
    full_ |= table_.is_full(row.program);
    return report;
  }

 private:
  Loop& loop_;
  const StepTable& table_;
  bool full_ = false;  // has run: its input is kept
  int skipped_ = 0;    // the rows just before
};

}  // namespace

void run_table(Loop& loop, const StepTable& table, const SamplerState& state,
               const std::vector<Segments>& programs, const CancelFlag* cancel, const Reads& reads,
               const StepCallback& on_step, const std::function<void(int row)>& prepare) {
  const int rows = int(table.rows.size()), behind = loop.rows_in_flight() - 1;
  loop.begin(table, state, programs);
  Skipping skipping(loop, table);
  std::vector<StepReport> reports;
  int done = 0;
  const auto finish_until = [&](int end) {
    for (; done < end; ++done) {
      loop.wait(done);
      on_step(reports[size_t(done)]);
    }
  };
  for (int row = 0; row < rows; ++row) {
    if (cancel && *cancel) throw Error(ErrorCode::kAborted, "The run was aborted");
    if (prepare) prepare(row);
    reports.push_back(skipping.choose(row));
    loop.enqueue(reports.back().program != table.rows[size_t(row)].program, cancel);
    // Another row would change what is to be read.
    finish_until(reads && reads(row) ? row + 1 : row + 1 - behind);
  }
  finish_until(rows);
}

}  // namespace deepcache

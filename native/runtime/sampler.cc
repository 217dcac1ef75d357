#include "sampler.h"

#include "error.h"

namespace deepcache {

TableRun::TableRun(Loop& loop, const StepTable& table, const SamplerState& state,
                   const std::vector<Segments>& programs, TableCalls calls)
    : loop_(loop), table_(table), calls_(std::move(calls)) {
  loop_.begin(table, state, programs);
}

const StepReport& TableRun::choose() {
  const int index = int(reports_.size());
  const StepRow& row = table_.rows[size_t(index)];
  if (calls_.prepare) calls_.prepare(index);
  StepReport report{index, row.program};
  // Where there is no choice nothing is measured: a GPU would wait for it.
  if (may_skip(row)) report.change = loop_.change();
  if (report.change < row.skip_below) {  // not where it is NaN
    report.program = row.instead;
    skipped_++;
  } else {
    skipped_ = 0;
    full_ |= table_.is_full(row.program);
  }
  reports_.push_back(report);
  return reports_.back();
}

bool TableRun::skips() const {
  const StepReport& chosen = reports_.back();
  return chosen.program != table_.rows[size_t(chosen.row)].program;
}

void TableRun::enqueue(const CancelFlag* cancel) { loop_.enqueue(skips(), cancel); }

void TableRun::input() { loop_.input(skips()); }

void TableRun::apply() { loop_.apply(skips()); }

void TableRun::settle() {
  const size_t chosen = reports_.size(), behind = size_t(loop_.rows_in_flight() - 1);
  // Another row would change what is to be read.
  const bool all = !has_next() || (calls_.reads && calls_.reads(int(chosen) - 1));
  for (; done_ + (all ? 0 : behind) < chosen; ++done_) {
    loop_.wait(int(done_));
    calls_.on_step(reports_[done_]);
  }
}

void TableRun::run(const CancelFlag* cancel) {
  for (; has_next(); settle()) {
    check_cancelled(cancel);
    choose();
    enqueue(cancel);
  }
}

}  // namespace deepcache

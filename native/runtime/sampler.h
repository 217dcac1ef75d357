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

// What a run is told and asked by whoever started it. `prepare` is called before a row is enqueued.
struct TableCalls {
  Reads reads;
  StepCallback on_step;
  std::function<void(int row)> prepare = {};
};

// A step table on its way through a loop. Of each row: choose(), then enqueue(), or else input(), a
// pass that reads the model's input and writes its output, and apply(); in the end settle().
class TableRun {
 public:
  // `programs` belong to table.programs, in order. What is given by reference must outlive the run.
  TableRun(Loop& loop, const StepTable& table, const SamplerState& state,
           const std::vector<Segments>& programs, TableCalls calls);

  // Whether there are rows that were not chosen yet.
  bool has_next() const { return reports_.size() < table_.rows.size(); }
  // Prepares the next row and decides what it runs.
  const StepReport& choose();
  void enqueue(const CancelFlag* cancel);
  void input();
  void apply();
  // Waits for rows that must have ended before another one is chosen, and reports them; after the
  // last row, for all.
  void settle();
  // All of this, for the rows that are left. Throws Error(kAborted) soon after `cancel` became
  // true; the state is then meaningless.
  void run(const CancelFlag* cancel);

 private:
  bool skips() const;  // the chosen row does
  bool may_skip(const StepRow& row) const { return full_ && skipped_ < row.max_skips; }

  Loop& loop_;
  const StepTable& table_;
  const TableCalls calls_;
  std::vector<StepReport> reports_;
  size_t done_ = 0;    // rows that were reported
  bool full_ = false;  // a full row has run: its input is kept
  int skipped_ = 0;    // the rows just before
};

}  // namespace deepcache

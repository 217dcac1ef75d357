#include "sampler.h"

#include <cmath>

#include "error.h"

namespace deepcache {
namespace {

[[noreturn]] void invalid(int row, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "step table, row " + std::to_string(row) + ": " + what);
}

}  // namespace

void validate(const StepTable& table, int batch, int draws) {
  if (table.rows.empty()) throw Error(ErrorCode::kInvalidArgument, "the step table has no rows");
  if (table.programs.empty())
    throw Error(ErrorCode::kInvalidArgument, "the step table has no programs");
  for (int i = 0; i < int(table.rows.size()); ++i) {
    const StepRow& row = table.rows[i];
    const auto check = [&](Coefficient c, const char* what) {
      if (c.stride > 1 || size_t(c.offset) + size_t(c.stride) * (batch - 1) >= table.values.size())
        invalid(i, std::string(what) + " points outside of the table");
      for (int sample = 0; sample < (c.stride ? batch : 1); ++sample)
        if (!std::isfinite(table.value(c, sample)))
          invalid(i, std::string(what) + " is not a finite number");
    };
    if (row.program < 0 || row.program >= int(table.programs.size()))
      invalid(i, "there is no program " + std::to_string(row.program));
    check(row.timestep, "timestep");
    check(row.input_scale, "inputScale");
    if (row.guided) {
      if (!table.programs[row.program].guided)
        invalid(i, "guidance needs a program that computes both halves");
      check(row.guidance_scale, "guidance.scale");
      check(row.guidance_rescale, "guidance.rescale");
    }
    check(row.x0_x, "x0.x");
    check(row.x0_m, "x0.m");
    if (row.limit == StepRow::Limit::clamp && !(row.clamp > 0))
      invalid(i, "x0.clamp must be positive");
    if (row.limit == StepRow::Limit::threshold &&
        !(row.threshold_ratio > 0 && row.threshold_ratio <= 1 && row.threshold_max >= 1))
      invalid(i, "x0.threshold needs a ratio in (0, 1] and a max of at least 1");
    if (int(row.assignments.size()) > kMaxAssignments)
      invalid(i, "has more than " + std::to_string(kMaxAssignments) + " assignments");
    bool reads_noise = false;
    for (const Assignment& assignment : row.assignments) {
      if (assignment.to == Slot::m || assignment.to == Slot::noise)
        invalid(i, "assigns to a slot that is read-only");
      if (assignment.terms.empty()) invalid(i, "has an assignment without terms");
      for (const Term& term : assignment.terms) {
        check(term.coefficient, "a coefficient");
        reads_noise |= term.slot == Slot::noise;
      }
    }
    if (reads_noise && !row.has_noise) invalid(i, "reads noise, but names no draw");
    if (row.has_noise) {
      check(row.noise, "noise");
      for (int sample = 0; sample < batch; ++sample) {
        const float draw = table.value(row.noise, sample);
        if (draw < 0 || draw >= draws || draw != std::floor(draw))
          invalid(i, "there is no noise draw " + std::to_string(draw));
      }
    }
    if (row.blended) {
      check(row.blend_init, "blend.init");
      check(row.blend_noise, "blend.noise");
    }
  }
}

std::vector<bool> used_history(const StepTable& table) {
  std::vector<bool> used(kHistorySlots, false);
  const auto mark = [&](Slot slot) {
    if (int(slot) >= kFirstHistorySlot) used[int(slot) - kFirstHistorySlot] = true;
  };
  for (const StepRow& row : table.rows)
    for (const Assignment& assignment : row.assignments) {
      mark(assignment.to);
      for (const Term& term : assignment.terms) mark(term.slot);
    }
  return used;
}

void run_table(Loop& loop, const StepTable& table, const SamplerState& state,
               const std::vector<Program*>& programs, const CancelFlag* cancel, const Reads& reads,
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

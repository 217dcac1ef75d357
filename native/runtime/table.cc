#include "table.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace deepcache {
namespace {

[[noreturn]] void invalid(int row, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "step table, row " + std::to_string(row) + ": " + what);
}

template <typename Visit>
void each_slot(const StepTable& table, const StepRow& row, const Visit& visit) {
  for (int i = 0; i < row.assignment_count; ++i) visit(row.assignments[i].to);
  for (uint32_t t = row.terms.first; t < row.terms.end(); ++t) visit(table.terms[t].slot);
  if (row.guided && row.rule.has_momentum) visit(row.rule.average);
}

bool contains(Terms all, Terms part) { return part.first >= all.first && part.end() <= all.end(); }

// One row of a table, its number in messages.
class RowCheck {
 public:
  RowCheck(const StepTable& table, int index, int batch)
      : table_(table), row_(table.rows[size_t(index)]), index_(index), batch_(batch) {}

  void check(int draws) const {
    check_program();
    for (const NamedCoefficient& c : kCoefficients) check_number(row_.*c.of, c.name);
    if (row_.limit == StepRow::Limit::clamp && !(row_.clamp > 0)) fail("x0.clamp must be positive");
    if (row_.limit == StepRow::Limit::threshold &&
        !(row_.threshold_ratio > 0 && row_.threshold_ratio <= 1 && row_.threshold_max >= 1))
      fail("x0.threshold needs a ratio in (0, 1] and a max of at least 1");
    check_sums();
    if (row_.has_noise) check_draws(draws);
    if (row_.blended && row_.blends_noise && !row_.has_noise)
      fail("blends with noise, but names no draw");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { invalid(index_, what); }

  void check_number(Coefficient c, const char* what) const {
    if (c.stride > 1 || size_t(c.offset) + size_t(c.stride) * (batch_ - 1) >= table_.values.size())
      fail(std::string(what) + " points outside of the table");
    for (int sample = 0; sample < (c.stride ? batch_ : 1); ++sample)
      if (!std::isfinite(table_.value(c, sample)))
        fail(std::string(what) + " is not a finite number");
  }

  void check_program() const {
    const int program = row_.program;
    if (program != kNoProgram && (program < 0 || program >= int(table_.programs.size())))
      fail("there is no program " + std::to_string(program));
    const bool skips = row_.max_skips > 0;
    if (skips) check_skip();
    const bool predicts = row_.predict.count > 0;
    if (skips ? predicts != (row_.instead == kNoProgram) : predicts && program != kNoProgram)
      fail("needs either a program or a prediction with terms");
    if (row_.forecasts && (program == kNoProgram || table_.is_full(program)))
      fail("featureGamma is for a retrieve step");
    for (const int runs : {program, skips ? row_.instead : kNoProgram})
      if (runs != kNoProgram && table_.programs[size_t(runs)].degrades) check_degrading(runs);
    if (!row_.guided) return;
    const Halves halves = table_.halves(program);
    if (halves != Halves::all && halves != Halves::both)
      fail("guidance needs a program that computes both halves");
    if (row_.guided_by_third && halves != Halves::all)
      fail("guidance by a third output needs a program that computes all outputs");
    check_rule(row_.rule);
  }

  void check_degrading(int program) const {
    if (!row_.has_signal) fail("a program that degrades needs a signal");
    if (table_.halves(program) != Halves::all) fail("a program that degrades computes all outputs");
    if (table_.programs[size_t(program)].attention)
      fail("a program that degrades keeps and takes no attention");
    for (int sample = 0; sample < batch_; ++sample)
      if (table_.value(row_.input_scale, sample) == 0)
        fail("a program that degrades needs an inputScale");
  }

  void check_rule(const GuidanceRule& rule) const {
    if (rule.kind == GuidanceRule::Kind::linear) return;
    for (const float number : {rule.eta, rule.limit, rule.momentum, rule.alpha})
      if (!std::isfinite(number)) fail("the numbers of guidance.rule must be finite");
    if (rule.has_momentum && int(rule.average) < kFirstHistorySlot)
      fail("guidance.rule.average must be one of the slots s0 to s9");
  }

  void check_skip() const {
    const int instead = row_.instead;
    if (instead != kNoProgram && (instead < 0 || instead >= int(table_.programs.size())))
      fail("there is no program " + std::to_string(instead));
    if (!table_.is_full(row_.program) || table_.is_full(instead))
      fail("skips a full program, for a retrieve step or a prediction");
    if (!(row_.skip_below >= 0)) fail("skip.threshold must be at least 0");
  }

  void check_sums() const {
    if (row_.assignment_count < 0 || row_.assignment_count > kMaxAssignments)
      fail("has more than " + std::to_string(kMaxAssignments) + " assignments");
    if (row_.terms.count > uint32_t(kMaxTerms))
      fail("has more than " + std::to_string(kMaxTerms) + " terms");
    if (size_t(row_.terms.first) + row_.terms.count > table_.terms.size())
      fail("has terms outside of the table");
    if (row_.predict.count > 0 && !contains(row_.terms, row_.predict))
      fail("has terms outside of the row");
    for (uint32_t t = row_.predict.first; t < row_.predict.end(); ++t)
      if (table_.terms[t].slot == Slot::noise) fail("predicts from noise");
    for (int i = 0; i < row_.assignment_count; ++i) {
      const Assignment& assignment = row_.assignments[i];
      if (assignment.to == Slot::m || assignment.to == Slot::noise)
        fail("assigns to a slot that is read-only");
      if (assignment.terms.count == 0) fail("has an assignment without terms");
      if (!contains(row_.terms, assignment.terms)) fail("has terms outside of the row");
    }
    for (uint32_t t = row_.terms.first; t < row_.terms.end(); ++t) {
      check_number(table_.terms[t].coefficient, "a coefficient");
      if (table_.terms[t].slot == Slot::noise && !row_.has_noise)
        fail("reads noise, but names no draw");
    }
  }

  void check_draws(int draws) const {
    for (int sample = 0; sample < batch_; ++sample) {
      const float draw = table_.value(row_.noise, sample);
      if (draw < 0 || draw >= draws || draw != std::floor(draw))
        fail("there is no noise draw " + std::to_string(draw));
    }
  }

  const StepTable& table_;
  const StepRow& row_;
  int index_, batch_;
};

void require(const void* buffer, const char* what) {
  if (!buffer) throw Error(ErrorCode::kInternal, std::string("sampler: the state has no ") + what);
}

}  // namespace

Terms StepTable::add(StepRow& row, const std::vector<Term>& sum) {
  const Terms added{uint32_t(terms.size()), uint32_t(sum.size())};
  if (row.terms.count == 0) row.terms.first = added.first;
  row.terms.count = added.end() - row.terms.first;
  terms.insert(terms.end(), sum.begin(), sum.end());
  return added;
}

void StepTable::predict(StepRow& row, const std::vector<Term>& sum) {
  row.program = kNoProgram;
  row.predict = add(row, sum);
}

void StepTable::assign(StepRow& row, Slot to, const std::vector<Term>& sum) {
  if (row.assignment_count == kMaxAssignments)
    throw Error(ErrorCode::kInternal, "step table: too many assignments");
  row.assignments[row.assignment_count++] = {to, add(row, sum)};
}

void StepTable::count_calls() {
  int32_t uncalled = 0;
  for (StepRow& row : rows) row.uncalled = uncalled += row.calls() ? 0 : 1;
}

bool StepTable::skips() const {
  return std::ranges::any_of(rows, [](const StepRow& row) { return row.max_skips > 0; });
}

bool StepTable::forecasts() const {
  return std::ranges::any_of(rows, [](const StepRow& row) { return row.forecasts; });
}

bool StepTable::degrades() const { return std::ranges::any_of(programs, &ProgramKey::degrades); }

void validate(const StepTable& table, int batch, int draws) {
  if (table.rows.empty()) throw Error(ErrorCode::kInvalidArgument, "the step table has no rows");
  if (table.programs.empty())
    throw Error(ErrorCode::kInvalidArgument, "the step table has no programs");
  if (table.calls() == 0)
    throw Error(ErrorCode::kInvalidArgument, "the step table has no row that calls the U-Net");
  for (int i = 0; i < int(table.rows.size()); ++i) RowCheck(table, i, batch).check(draws);
}

void check_state(const StepTable& table, const SamplerState& state) {
  require(state.x, "x");
  require(state.model_input, "model input");
  require(state.model_output, "model output");
  require(state.m, "m");
  require(state.x0, "x0");
  if (state.input_channels > state.channels) require(state.constant, "constant channels");
  if (table.skips()) require(state.kept, "kept input");
  for (const StepRow& row : table.rows) {
    if (row.guided && state.outputs < (row.guided_by_third ? 3 : 2))
      throw Error(ErrorCode::kInternal, "sampler: a guided row without its outputs");
    each_slot(table, row, [&](Slot slot) {
      if (slot == Slot::noise) require(state.noise, "noise");
      if (int(slot) >= kFirstHistorySlot)
        require(state.history[int(slot) - kFirstHistorySlot], "history slot of the table");
    });
    if (row.blended) {
      require(state.mask, "mask");
      require(state.init, "initial latents");
      if (row.blends_noise)
        require(state.noise, "noise");
      else
        require(state.init_noise, "initial noise");
    }
  }
}

std::vector<bool> used_history(const StepTable& table) {
  std::vector<bool> used(kHistorySlots, false);
  for (const StepRow& row : table.rows)
    each_slot(table, row, [&](Slot slot) {
      if (int(slot) >= kFirstHistorySlot) used[size_t(int(slot) - kFirstHistorySlot)] = true;
    });
  return used;
}

}  // namespace deepcache

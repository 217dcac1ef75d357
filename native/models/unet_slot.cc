#include "unet_slot.h"

#include <algorithm>
#include <optional>

#include "../runtime/error.h"
#include "layout.h"
#include "transfer.h"
#include "unet_degraded.h"
#include "weight_plans.h"

namespace deepcache {
namespace {

[[noreturn]] void invalid_row(size_t row, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "step table, row " + std::to_string(row) + ": " + what);
}

std::string name_of(Halves halves) {
  return halves == Halves::all           ? "all outputs"
         : halves == Halves::both        ? "both halves"
         : halves == Halves::conditional ? "the conditional half"
                                         : "the unconditional half";
}

// Features are a run's own: a retrieve step reads what the last full one before it has written, for
// all the outputs that it reads.
void check_order(const StepTable& table, int outputs) {
  bool full = false;  // has run
  Halves kept = Halves::all;
  const auto check_retrieve = [&](size_t row, Halves read) {
    if (!full) invalid_row(row, "the first call of a run must be full");
    if (!outputs_of(kept, outputs).contains(outputs_of(read, outputs)))
      invalid_row(row,
                  "a retrieve step of " + name_of(read) + " after a full one of " + name_of(kept));
  };
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const StepRow& row = table.rows[i];
    if (row.guided && outputs < 2) invalid_row(i, "guidance needs two halves");
    if (row.guided_by_third && outputs < 3) invalid_row(i, "guidance needs a third output");
    // Rows before the first full call skip nothing.
    if (full && row.max_skips > 0 && row.instead != kNoProgram)
      check_retrieve(i, table.halves(row.instead));
    if (row.program == kNoProgram) continue;
    const Halves computed = table.halves(row.program);
    if (!table.is_full(row.program)) {
      check_retrieve(i, computed);
    } else if (!full || row.max_skips == 0 ||
               outputs_of(kept, outputs).contains(outputs_of(computed, outputs))) {
      kept = computed;  // a row that may skip adds no output
      full = true;
    }
  }
}

// The same of what is kept of attention. A full program keeps it in all layers, a retrieve step
// where it goes; what a row takes all of these must have kept, of all the outputs that it takes.
void check_kept(const StepTable& table, int outputs, AttentionUse AttentionUses::*of) {
  std::optional<OutputRange> kept;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const StepRow& row = table.rows[i];
    if (row.program == kNoProgram) continue;
    const ProgramKey& key = table.programs[size_t(row.program)];
    const AttentionUse use = key.attention.*of;
    if (use == AttentionUse::compute) continue;
    if (row.max_skips > 0) invalid_row(i, "a row that may skip keeps and takes no attention");
    OutputRange own = outputs_of(key.halves, outputs);
    if (use == AttentionUse::kept) {
      if (!kept || !kept->contains(own))
        invalid_row(i, "takes outputs of attention that no full program before it has kept");
      continue;
    }
    if (use == AttentionUse::mean) own.count = 1;
    if (table.is_full(row.program))
      kept = own;
    else if (kept && !own.contains(*kept))
      kept = kept->contains(own) ? std::optional(own) : std::nullopt;
  }
}

// A degraded output is one of several, and sessions have no room to compute all of them at once
// besides.
void check_degrading(const StepTable& table, int outputs) {
  if (!table.degrades()) return;
  if (outputs < 2)
    throw Error(ErrorCode::kInvalidArgument, "step table: a degraded output is one of several");
  for (const ProgramKey& key : table.programs)
    if (!key.degrades && outputs_of(key.halves, outputs).count == outputs)
      throw Error(ErrorCode::kInvalidArgument,
                  "step table: programs that degrade go with none that computes all outputs "
                  "without");
}

// What the table says, in the words of this request.
StepTable table_of(const UnetDenoise& request) {
  StepTable table = request.table;
  // Where those that a program names are all there are, it leaves out none.
  for (ProgramKey& key : table.programs)
    if (outputs_of(key.halves, request.outputs).count == request.outputs) key.halves = Halves::all;
  validate(table, request.batch, request.draws);
  check_order(table, request.outputs);
  check_degrading(table, request.outputs);
  check_kept(table, request.outputs, &AttentionUses::cross);
  check_kept(table, request.outputs, &AttentionUses::self);
  return table;
}

}  // namespace

UnetSlot::UnetSlot(Unet& unet, const UnetDenoise& request, const CancelFlag* cancel,
                   std::function<void(const UnetProgress&)> on_step)
    : unet_(unet),
      request_(request),
      cancel_(cancel),
      on_step_(std::move(on_step)),
      batch_(size_t(request.batch)),
      channels_(size_t(unet.config().out_channels)),
      pixels_(size_t(request.height) * size_t(request.width)),
      table_(table_of(request)),
      used_(used_history(table_)) {
  const Clock::time_point begin = Clock::now();
  std::vector<int> features;
  for (const ProgramKey& key : table_.programs)
    if (key.kind != ProgramKey::Kind::full) features.push_back(key.branch);
  prepare_session(unet_.checked_branches(std::move(features)));
  noise_.emplace(table_, request.batch, session_->loop().rows_in_flight());
  unet_.engine().relieve([&] { prepare_state(); });
  for (const ProgramKey& key : table_.programs) programs_.push_back(session_->segments(key));
  rows_.emplace(session_->loop(), table_, state_, programs_,
                TableCalls{request_.reads, [this](const StepReport& report) { end_row(report); },
                           [this](int row) { draw(row); }});
  result_.prepare_milliseconds = milliseconds_since(begin);
  row_begin_ = Clock::now();
}

double UnetSlot::milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void UnetSlot::prepare_session(const std::vector<int>& features) {
  const int batch = request_.batch, model_batch = batch * request_.outputs;
  const UnetConditions& conditions = request_.conditions;
  bool per_sample = samples_differ(unet_.config(), conditions, model_batch / request_.frames);
  for (const StepRow& row : table_.rows) per_sample |= row.timestep.stride != 0;
  const int time_rows = per_sample ? model_batch : 1;
  std::vector<float> timesteps, gammas;
  for (const StepRow& row : table_.rows) {
    if (!row.calls()) continue;
    for (int i = 0; i < time_rows; ++i) timesteps.push_back(table_.value(row.timestep, i % batch));
    for (int i = 0; i < model_batch; ++i)
      gammas.push_back(row.forecasts ? table_.value(row.feature_gamma, i % batch) : 0);
  }
  const UnetShape shape{
      model_batch,
      request_.height,
      request_.width,
      conditions.context_length,
      time_rows,
      request_.frames,
      request_.old_contexts,
      request_.outputs,
      {int(request_.control.networks.size()), int(request_.control.block_features.size()),
       image_tokens(conditions.image_prompts), conditions.free_u.has_value(), conditions.perturbed,
       table_.forecasts(), table_.degrades()},
      request_.windows};
  std::vector<float> degrading;
  if (table_.degrades()) degrading = degrading_factors(table_, batch);
  std::vector<GatedPass> gated;
  for (const ProgramKey& key : table_.programs)
    if (key.attention) gated.push_back({key.halves, key.attention});
  std::ranges::sort(gated);
  gated.erase(std::unique(gated.begin(), gated.end()), gated.end());
  session_ = unet_.session(shape, table_.calls(), features,
                           members_of(request_.control, request_.outputs), gated);
  unet_.engine().relieve([&] {
    session_->condition(conditions, timesteps, request_.control.networks, cancel_, nullptr);
    session_->set_control(request_.control, cancel_);
    session_->set_forecasts(gammas);
    session_->set_degrading(degrading);
  });
  session_->has_features = false;
}

Buffer* UnetSlot::allocate(size_t n, size_t c) {
  buffers_.push_back(unet_.backend().allocate(n * c * pixels_ * sizeof(float)));
  return buffers_.back().get();
}

Buffer* UnetSlot::upload(const float* data, size_t n, size_t c) {
  if (!data || n * c == 0) return nullptr;
  Buffer* buffer = allocate(n, c);
  write_nchw(*buffer, data, n, c, pixels_);
  return buffer;
}

void UnetSlot::prepare_state() {
  buffers_.clear();
  const size_t inputs = size_t(unet_.config().in_channels);
  state_ = {};
  state_.batch = request_.batch;
  state_.outputs = request_.outputs;
  state_.pixels = int(pixels_);
  state_.channels = int(channels_);
  state_.input_channels = int(inputs);
  state_.x = upload(request_.latents, batch_, channels_);
  if (request_.draws > 0) state_.noise = allocate(size_t(noise_->size()) * batch_, channels_);
  state_.constant =
      upload(request_.constant, batch_ * size_t(request_.outputs), inputs - channels_);
  state_.mask = upload(request_.mask, batch_, 1);
  state_.init = upload(request_.init, batch_, channels_);
  state_.init_noise = upload(request_.init_noise, batch_, channels_);
  if (table_.skips()) state_.kept = allocate(batch_, channels_);
  state_.m = allocate(batch_, channels_);
  state_.x0 = allocate(batch_, channels_);
  state_.model_input = &session_->sample();
  state_.model_output = &session_->out();
  for (size_t i = 0; i < kHistorySlots; ++i)
    if (used_[i])
      state_.history[i] = request_.history[i] ? upload(request_.history[i], batch_, channels_)
                                              : allocate(batch_, channels_);
}

void UnetSlot::draw(int row) {
  const size_t count = batch_ * channels_ * pixels_;
  noise_->prepare(row, [&](int place) {
    std::vector<float> drawn(count);
    request_.draw_noise(drawn.data());
    write_nchw(*state_.noise, drawn.data(), batch_, channels_, pixels_,
               size_t(place) * count * sizeof(float));
  });
}

std::function<std::vector<float>()> UnetSlot::reader(Buffer* buffer) const {
  return [buffer, batch = batch_, channels = channels_, pixels = pixels_] {
    return read_nchw(*buffer, batch, channels, pixels);
  };
}

void UnetSlot::check_finite(int row, const std::function<void(const Tap&)>& again) {
  if (all_finite(values_of(*state_.x))) return;
  unet_.fail_not_finite("the U-Net, at call " + std::to_string(table_.call(row) + 1) + " of " +
                            std::to_string(table_.calls()) + ",",
                        weight_plans(unet_.config()), again);
}

void UnetSlot::end_row(const StepReport& report) {
  const int row = report.row;
  result_.reports.push_back(report);
  result_.row_milliseconds.push_back(milliseconds_since(row_begin_));
  // Where reading the values does not hold up the rows behind. The input is still there.
  if (session_->loop().rows_in_flight() == 1)
    check_finite(row, [&](const Tap& tap) {
      if (report.program != kNoProgram)
        run_segments(programs_[size_t(report.program)], table_.call(row), cancel_, &tap);
    });
  if (on_step_)
    on_step_({row, result_.row_milliseconds.back(), report.program, report.change, reader(state_.x),
              reader(state_.x0)});
  row_begin_ = Clock::now();
}

UnetRun UnetSlot::finish() {
  unet_.backend().synchronize();
  check_finite(int(table_.rows.size()) - 1, [](const Tap&) {});
  result_.latents = read_nchw(*state_.x, batch_, channels_, pixels_);
  for (size_t i = 0; i < kHistorySlots; ++i)
    if (used_[i]) result_.history[i] = read_nchw(*state_.history[i], batch_, channels_, pixels_);
  return std::move(result_);
}

}  // namespace deepcache

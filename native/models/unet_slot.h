#pragma once

// A denoising run that is under way: its step table, its state on the device, and the session that
// holds its keys and values, time projections and features. Who drives it computes its rows, alone
// or in a batch with those of other runs (unet_batch.h).

#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "../runtime/noise_window.h"
#include "unet_session.h"

namespace deepcache {

class UnetSlot {
 public:
  // Does all that comes before the first row. `request` and `cancel` must outlive it.
  UnetSlot(Unet& unet, const UnetDenoise& request, const CancelFlag* cancel,
           std::function<void(const UnetProgress&)> on_step);
  UnetSlot(const UnetSlot&) = delete;

  TableRun& rows() { return *rows_; }
  // The time that its next row takes counts from now: it has waited for others.
  void begin_row() { row_begin_ = Clock::now(); }
  UnetSession& session() { return *session_; }
  const UnetDenoise& request() const { return request_; }
  const StepTable& table() const { return table_; }
  const CancelFlag* cancel_flag() const { return cancel_; }
  // After the last row. Throws Error(kNotFinite).
  UnetRun finish();

  std::exception_ptr error;  // what ended it in a batch

 private:
  // Of `n` samples with `c` channels.
  Buffer* allocate(size_t n, size_t c);
  Buffer* upload(const float* data, size_t n, size_t c);
  void prepare_session(const std::vector<int>& features);
  void prepare_state();
  void draw(int row);
  void end_row(const StepReport& report);
  void check_finite(int row, const std::function<void(const Tap&)>& again);
  std::function<std::vector<float>()> reader(Buffer* buffer) const;

  using Clock = std::chrono::steady_clock;
  static double milliseconds_since(Clock::time_point start);

  Unet& unet_;
  const UnetDenoise& request_;
  const CancelFlag* const cancel_;
  const std::function<void(const UnetProgress&)> on_step_;
  const size_t batch_, channels_, pixels_;
  StepTable table_;
  std::vector<bool> used_;  // history slots
  std::shared_ptr<UnetSession> session_;
  std::optional<NoiseWindow> noise_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  SamplerState state_;
  std::vector<Segments> programs_;
  UnetRun result_;
  Clock::time_point row_begin_;
  std::optional<TableRun> rows_;
};

}  // namespace deepcache

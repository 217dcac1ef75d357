#include "runner.h"

#include <algorithm>

namespace deepcache::addon {

void Runner::submit(Runnable& job) {
  std::lock_guard lock(mutex_);
  if (job.line_) job.line_->jobs_.push_back(&job);
  if (!job.line_ || job.line_->jobs_.size() == 1) ready_.push_back(&job);
  begin_ready();
}

bool Runner::withdraw(Runnable& job) {
  std::lock_guard lock(mutex_);
  if (job.state_ != Runnable::State::waits) return false;
  std::erase(ready_, &job);
  leave_line(job);
  begin_ready();
  return true;
}

void Runner::leave(Runnable& job) {
  std::lock_guard lock(mutex_);
  running_--;
  leave_line(job);
  begin_ready();
}

bool Runner::is_idle(const Line& line) const {
  std::lock_guard lock(mutex_);
  return line.jobs_.empty();
}

void Runner::leave_line(Runnable& job) {
  job.state_ = Runnable::State::gone;
  if (!job.line_) return;
  std::deque<Runnable*>& jobs = job.line_->jobs_;
  const bool was_first = jobs.front() == &job;
  std::erase(jobs, &job);
  if (was_first && !jobs.empty()) ready_.push_back(jobs.front());
}

void Runner::begin_ready() {
  while (running_ < kMost && !ready_.empty()) {
    Runnable& job = *ready_.front();
    ready_.pop_front();
    job.state_ = Runnable::State::runs;
    running_++;
    try {
      job.begin();
    } catch (...) {
      running_--;
      leave_line(job);
      job.reject(std::current_exception());
    }
  }
}

Runner& runner() {
  // Never destroyed: jobs end late.
  static Runner& instance = *new Runner;
  return instance;
}

}  // namespace deepcache::addon

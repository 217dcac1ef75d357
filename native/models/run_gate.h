#pragma once

// Runs that go on for many turns of an engine, side by side, and changes that none of them may see
// half of. A change waits for the runs that have begun, later runs wait for the change.

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "../runtime/backend.h"

namespace deepcache {

class RunGate {
 public:
  // Both wait until they may begin; Error(kAborted) soon after `cancel` became true.
  class Run {
   public:
    Run(RunGate& gate, const CancelFlag* cancel) : gate_(gate) {
      std::unique_lock lock(gate.mutex_);
      gate.wait(lock, cancel, [&] { return gate.changes_ == 0; });
      gate.runs_++;
    }
    ~Run() { gate_.leave(gate_.runs_); }
    Run(const Run&) = delete;

   private:
    RunGate& gate_;
  };

  class Change {
   public:
    Change(RunGate& gate, const CancelFlag* cancel) : gate_(gate) {
      std::unique_lock lock(gate.mutex_);
      gate.changes_++;
      try {
        gate.wait(lock, cancel, [&] { return gate.runs_ == 0 && !gate.changing_; });
      } catch (...) {
        gate.changes_--;
        gate.ended_.notify_all();
        throw;
      }
      gate.changing_ = true;
    }
    ~Change() {
      {
        const std::lock_guard lock(gate_.mutex_);
        gate_.changing_ = false;
      }
      gate_.leave(gate_.changes_);
    }
    Change(const Change&) = delete;

   private:
    RunGate& gate_;
  };

 private:
  template <typename Ready>
  void wait(std::unique_lock<std::mutex>& lock, const CancelFlag* cancel, const Ready& ready) {
    // Nobody tells when a flag is raised.
    constexpr auto kLook = std::chrono::milliseconds(20);
    while (!ready()) {
      check_cancelled(cancel);
      ended_.wait_for(lock, kLook);
    }
  }
  void leave(int& count) {
    {
      const std::lock_guard lock(mutex_);
      count--;
    }
    ended_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  int runs_ = 0, changes_ = 0;  // that have begun; that wait or have begun
  bool changing_ = false;
};

}  // namespace deepcache

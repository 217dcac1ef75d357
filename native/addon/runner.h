#pragma once

#include <deque>
#include <exception>
#include <mutex>

namespace deepcache::addon {

class Runner;
class Runnable;

// Jobs that run one at a time, in the order in which they came. Guarded by the runner.
class Line {
 private:
  friend class Runner;
  std::deque<Runnable*> jobs_;  // the first of them runs, or is the next to
};

// A job, as the runner sees it.
class Runnable {
 public:
  // `line` may be null: the job waits for no other one.
  explicit Runnable(Line* line) : line_(line) {}
  virtual ~Runnable() = default;

 protected:
  friend class Runner;
  // Starts a thread, which calls Runner::leave() when the work is done. Throws when there is none.
  virtual void begin() = 0;
  // It will never begin.
  virtual void reject(std::exception_ptr error) = 0;

 private:
  enum class State { waits, runs, gone };
  Line* const line_;
  State state_ = State::waits;
};

// Decides when jobs begin: those of a line one after the other, and not too many at once. A job
// that waits has no thread: thousands of them cost little. Any thread may call.
class Runner {
 public:
  // Each has a thread; backends share their own threads among them.
  static constexpr int kMost = 64;

  // The job begins at once, or when its turn comes.
  void submit(Runnable& job);
  // True when the job had not begun; it never will.
  bool withdraw(Runnable& job);
  // By the job's thread, in the end.
  void leave(Runnable& job);
  bool is_idle(const Line& line) const;

 private:
  void leave_line(Runnable& job);  // all with the lock held
  void begin_ready();

  mutable std::mutex mutex_;
  std::deque<Runnable*> ready_;  // first in their lines
  int running_ = 0;
};

Runner& runner();

}  // namespace deepcache::addon

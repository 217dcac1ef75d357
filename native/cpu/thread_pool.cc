#include "cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

#include "runtime/cpu_count.h"
#include "runtime/error.h"
#include "runtime/thread_priority.h"

namespace deepcache::cpu {
namespace {

constexpr std::chrono::microseconds kAlone(5), kPatience(100);

// Waits for a change that is usually near before sleeping on a condition variable: between two ops
// of a plan a sleep and a wake-up would cost more, above all in a virtual machine (50 microseconds
// and more, when small ops take ten). Whoever else wants the processor meanwhile gets it.
template <typename Condition>
bool spin(const Condition& condition) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now(), alone = begin + kAlone, until = begin + kPatience;
  for (;;) {
    for (int i = 0; i < 16; i++) {
      if (condition()) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    const auto now = Clock::now();
    if (now >= until) return false;
    if (now >= alone) std::this_thread::yield();
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(threads == 0 ? available_cpus() : threads) {
  if (threads < 0 || threads > 1024)
    throw Error(ErrorCode::kInvalidArgument,
                "threads must be between 1 and 1024, or 0 for all that the process may use; got " +
                    std::to_string(threads));
  scratch_.resize(threads_);
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::start() {
  try {
    for (int i = 1; i < threads_; i++) workers_.emplace_back([this, i] { worker(i); });
  } catch (const std::system_error&) {
    // The system allows no more threads: the ones that there are will do.
  }
}

void ThreadPool::stop() {
  std::lock_guard turn(turn_);
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  for (Memory& memory : scratch_) memory = Memory();
  stop_ = false;
}

float* ThreadPool::scratch(int thread, size_t floats) {
  Memory& memory = scratch_[thread];
  if (memory.bytes() < floats * sizeof(float)) {
    memory = Memory();
    memory = Memory(floats * sizeof(float));
  }
  return memory.floats();
}

void ThreadPool::take_items(int thread) {
  for (;;) {
    if (cancel_ && cancel_->load(std::memory_order_relaxed)) return;
    const int index = next_.fetch_add(1, std::memory_order_relaxed);
    if (index >= count_) return;
    try {
      (*work_)(index, thread);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      next_ = count_;  // the others stop soon
    }
  }
}

void ThreadPool::worker(int thread) {
  lower_thread_priority();
  unsigned seen = 0;
  for (;;) {
    const auto wanted = [&] { return stop_ || generation_ != seen; };
    spin(wanted);
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, wanted);
      if (stop_) return;
      seen = generation_;
      if (!open_) continue;  // woke up too late
      active_++;
    }
    take_items(thread);
    if (active_.fetch_sub(1) == 1) {
      std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}

void ThreadPool::run(int count, const std::function<void(int, int)>& work,
                     const std::atomic<bool>* cancel) {
  std::lock_guard turn(turn_);
  if (count > 1 && workers_.empty()) start();
  work_ = &work;
  cancel_ = cancel;
  count_ = count;
  error_ = nullptr;
  next_ = 0;
  const int helpers = std::min(count - 1, int(workers_.size()));
  if (helpers > 0) {
    {
      std::lock_guard lock(mutex_);
      open_ = true;
      generation_++;
    }
    if (helpers == int(workers_.size())) {
      start_.notify_all();
    } else {
      for (int i = 0; i < helpers; i++) start_.notify_one();
    }
  }
  take_items(0);
  if (helpers > 0) {
    {
      std::lock_guard lock(mutex_);
      open_ = false;
    }
    const auto finished = [&] { return active_ == 0; };
    if (!spin(finished)) {
      std::unique_lock lock(mutex_);
      done_.wait(lock, finished);
    }
  }
  work_ = nullptr;
  if (error_) {
    std::exception_ptr error;
    std::swap(error, error_);
    std::rethrow_exception(error);
  }
  if (cancel && cancel->load(std::memory_order_relaxed))
    throw Error(ErrorCode::kAborted, "aborted");
}

}  // namespace deepcache::cpu

#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/buffer.h"

namespace deepcache::cpu {

// Our own: OpenMP and TBB would be system libraries to install, and cannot be joined when a worker
// of Node.js ends.

// Threads of our own, from the first work on until stop(). The thread that calls run() takes part;
// its work is as urgent as theirs, so a job thread should call lower_thread_priority() once, as the
// workers do.
class ThreadPool {
 public:
  // `threads` counts the caller; 0: available_cpus(). Fewer start when the system allows no more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls work(index, thread) for all indices below `count`, in ascending order of start, with
  // thread < threads(). Returns when all are done; rethrows the first exception. When `cancel`
  // becomes true, no further items start and Error(kAborted) is thrown. Callers on several threads
  // take turns, item lists at a time.
  void run(int count, const std::function<void(int index, int thread)>& work,
           const std::atomic<bool>* cancel = nullptr);

  // Ends the threads and frees their scratch; the next run() starts them again.
  void stop();

  // Scratch of one thread, valid inside `work` only; grows as needed, contents undefined.
  float* scratch(int thread, size_t floats);

 private:
  void start();
  void worker(int thread);
  void take_items(int thread);

  int threads_;      // the caller of run() included
  std::mutex turn_;  // held during run()
  std::mutex mutex_;
  std::condition_variable start_, done_;
  std::atomic<unsigned> generation_{0};  // of item lists
  bool open_ = false;                    // workers may still join the current list
  std::atomic<int> active_{0};           // workers at it
  std::atomic<int> next_{0};
  int count_ = 0;
  const std::function<void(int, int)>* work_ = nullptr;
  const std::atomic<bool>* cancel_ = nullptr;
  std::exception_ptr error_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
  std::vector<Memory> scratch_;
};

}  // namespace deepcache::cpu

#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "cpu_count.h"

namespace deepcache {

void parallel_for(size_t count, int workers,
                  const std::function<void(size_t index, int worker)>& task) {
  if (workers <= 0) workers = available_cpus();
  workers = int(std::min(size_t(workers), count));
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](int worker) {
    try {
      for (size_t i = next++; i < count; i = next++) task(i, worker);
    } catch (...) {
      next = count;
      std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  try {
    threads.reserve(size_t(std::max(workers, 1)));
    for (int i = 1; i < workers; i++) threads.emplace_back(work, i);
  } catch (const std::system_error&) {
    // No more threads to be had: those that run do it all.
  }
  work(0);
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace deepcache

#pragma once

// What the host sees of a GPU besides memory: devices of which a thread uses one, and streams of
// work. As on a GPU, work is done some time after it was added: at once (Async::at_issue), when
// somebody waits for it (late), or either. Host code that relies on more is found out.

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "launch.h"
#include "launch_log.h"
#include "shared_limit.h"

namespace deepcache::emulator {

using Work = std::function<void()>;

// The device of the calling thread.
void use_device(int device);
int used_device();

class Stream {
 public:
  // Of the device that the thread uses. A recording stream keeps its work in `into` instead.
  explicit Stream(std::vector<Work>* into = nullptr);
  ~Stream();
  Stream(const Stream&) = delete;

  // Throws std::runtime_error when the thread uses another device.
  void add(Work work);
  // Not for recording streams, which only take launches.
  void add_copy(Work work);
  // How much work was added so far.
  uint64_t added() const;
  // Does the work that was added up to there. Throws std::runtime_error with what failed.
  void wait_for(uint64_t count);
  void wait() { wait_for(added()); }

 private:
  friend void finish_all();
  void run_until(uint64_t count);

  const int device_;
  std::vector<Work>* const into_;
  mutable std::mutex mutex_;
  std::deque<Work> queue_;
  uint64_t added_ = 0, done_ = 0;
  std::string failure_;
};

// A place in a stream, and when it was passed (seconds).
struct Mark {
  Stream* stream = nullptr;
  uint64_t count = 0;
  double time = 0;
};

// As freeing memory does: all work that was added to any stream is done. What fails is reported by
// the stream's next wait.
void finish_all();

// Without a stream: at once.
template <typename... P, typename... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, unsigned cluster,
            Stream* stream, A&&... arguments) {
  std::tuple<std::decay_t<P>...> copies(std::forward<A>(arguments)...);
  const LaunchSize size{grid, block, shared_bytes,
                        allowed_shared_memory(reinterpret_cast<const void*>(kernel)), cluster};
  check_launch(size);
  const auto work = [kernel, size, copies]() mutable {
    log_launch(reinterpret_cast<const void*>(kernel), size.block, size.shared_bytes, size.cluster);
    run_grid(size, [kernel, &copies] { std::apply(kernel, copies); });
  };
  stream ? stream->add(work) : Work(work)();
}

}  // namespace deepcache::emulator

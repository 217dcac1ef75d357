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

#include "dry_run.h"
#include "launch.h"
#include "launch_log.h"
#include "shared_limit.h"

namespace deepcache::emulator {

// What a stream does, and what a graph has been recorded of.
struct Node {
  enum Kind { kernel, copy, fill, mark } kind = copy;
  std::function<void(bool overlaps)> run;
  const void* function = nullptr;  // of a kernel
  size_t shared_bytes = 0;
  // The edge from the node before: this one, a kernel, may start while that one, a kernel, runs.
  bool programmatic = false;
};

// The device of the calling thread.
void use_device(int device);
int used_device();

// Recorded nodes, one behind the other.
struct Graph {
  std::vector<Node> nodes;
  std::string invalid;  // what was asked of the recording stream that ended the recording

  // Throws std::runtime_error when CUDA would not make it executable: after such a call, or when a
  // kernel may no longer have the shared memory of its launch.
  void instantiate() const;
};

class Stream {
 public:
  // Of the device that the thread uses. A recording stream keeps its work in `into` instead.
  explicit Stream(Graph* into = nullptr);
  ~Stream();
  Stream(const Stream&) = delete;

  // Kernels that are added from here on may start while the kernel before them runs.
  void allow_overlap() { overlaps_ = true; }
  bool overlaps() const { return overlaps_; }
  bool records() const { return into_ != nullptr; }

  // Throws std::runtime_error when the thread uses another device.
  void add(Node node);
  void add(Node::Kind kind, std::function<void()> work);  // not a kernel
  // Its first node begins when everything before has ended.
  void launch(const Graph& graph);
  // How much work was added so far.
  uint64_t added() const;
  // Does the work that was added up to there. Throws std::runtime_error with what failed.
  void wait_for(uint64_t count);
  void wait() { wait_for(added()); }

 private:
  friend void finish_all();
  void require_usable() const;
  void enqueue(Node node);
  void run_until(uint64_t count);

  const int device_;
  Graph* const into_;
  bool overlaps_ = false, kernel_is_last_ = false;
  mutable std::mutex mutex_;
  std::deque<Node> queue_;
  uint64_t added_ = 0, done_ = 0;
  std::string failure_;
};

// A place in a stream, and when it was passed (seconds).
struct Mark {
  Stream* stream = nullptr;
  uint64_t count = 0;
  double time = 0;
  bool recorded = false;  // in a graph: nobody can wait for it
};

// As freeing memory does: all work that was added to any stream is done. What fails is reported by
// the stream's next wait.
void finish_all();

// Without a stream: at once, as behind another grid.
template <typename... P, typename... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, unsigned cluster,
            Stream* stream, A&&... arguments) {
  const void* const function = reinterpret_cast<const void*>(kernel);
  LaunchSize size{grid, block, shared_bytes, allowed_shared_memory(function), cluster, false};
  if (dry_run)
    return dry_run->launch(
        {function, size, parameter_bytes<std::decay_t<P>...>(), stream && stream->overlaps()});
  check_launch(size);
  std::tuple<std::decay_t<P>...> copies(std::forward<A>(arguments)...);
  const auto run = [kernel, function, size, copies](bool overlaps) mutable {
    log_launch(function, size.block, size.shared_bytes, size.cluster);
    size.overlaps = overlaps;
    run_grid(size, [kernel, &copies] { std::apply(kernel, copies); });
  };
  const Node node{Node::kernel, run, function, shared_bytes, true};
  stream ? stream->add(node) : node.run(true);
}

}  // namespace deepcache::emulator

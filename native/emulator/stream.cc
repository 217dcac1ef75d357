#include "stream.h"

#include <algorithm>
#include <stdexcept>

#include "options.h"

namespace deepcache::emulator {
namespace {

thread_local int device_of_thread = 0;

std::mutex registry_mutex;
std::vector<Stream*> registry;

// Of the first fault, where they stay.
std::mutex fault_mutex;
std::string lasting_fault;

void throw_lasting_fault() {
  const std::lock_guard lock(fault_mutex);
  if (!lasting_fault.empty()) throw std::runtime_error(lasting_fault);
}

}  // namespace

void use_device(int device) { device_of_thread = device; }
int used_device() { return device_of_thread; }

Stream::Stream(Graph* into) : device_(device_of_thread), into_(into) {
  const std::lock_guard lock(registry_mutex);
  registry.push_back(this);
}

Stream::~Stream() {
  const std::lock_guard lock(registry_mutex);
  registry.erase(std::find(registry.begin(), registry.end(), this));
}

void Graph::instantiate() const {
  if (!invalid.empty()) throw std::runtime_error("the recording has ended: " + invalid);
  for (const Node& node : nodes)
    if (node.kind == Node::kernel && node.shared_bytes > allowed_shared_memory(node.function))
      throw std::runtime_error("a graph's kernel has " + std::to_string(node.shared_bytes) +
                               " bytes of dynamic shared memory, it may have " +
                               std::to_string(allowed_shared_memory(node.function)));
}

void Stream::require_usable() const {
  if (device_of_thread != device_)
    throw std::runtime_error("work for a stream of another GPU than the thread's");
  throw_lasting_fault();
}

void Stream::add(Node node) {
  require_usable();
  const std::lock_guard lock(mutex_);
  const bool is_kernel = node.kind == Node::kernel;
  node.programmatic = overlaps_ && is_kernel && kernel_is_last_;
  kernel_is_last_ = is_kernel;
  if (into_) return into_->nodes.push_back(std::move(node));
  enqueue(std::move(node));
}

void Stream::add(Node::Kind kind, std::function<void()> work) {
  // Memory is closed while another thread's grid runs.
  add({kind, [work](bool) {
         const std::lock_guard lock(grid_mutex);
         work();
       }});
}

void Stream::launch(const Graph& graph) {
  require_usable();
  const std::lock_guard lock(mutex_);
  for (const Node& node : graph.nodes) enqueue(node);
  kernel_is_last_ = false;
}

void Stream::enqueue(Node node) {
  if (dry_run) return;  // there is nothing to copy
  queue_.push_back(std::move(node));
  added_++;
  const uint64_t coin = (added_ + options.seed) * 0x9e3779b97f4a7c15u >> 62;
  if (options.async == Async::at_issue || (options.async == Async::random && coin == 0))
    run_until(added_);
}

uint64_t Stream::added() const {
  const std::lock_guard lock(mutex_);
  return added_;
}

void Stream::wait_for(uint64_t count) {
  if (into_) {
    into_->invalid = "a recording stream cannot be waited for";
    throw std::runtime_error(into_->invalid);
  }
  const std::lock_guard lock(mutex_);
  if (done_ < count) statistics.waits++;
  run_until(count);
  throw_lasting_fault();
  if (failure_.empty()) return;
  const std::string failure = std::move(failure_);
  failure_.clear();
  throw std::runtime_error(failure);
}

void Stream::run_until(uint64_t count) {
  while (done_ < count) {
    const Node node = std::move(queue_.front());
    queue_.pop_front();
    done_++;
    if (!failure_.empty()) continue;  // nothing runs after a failure
    try {
      node.run(node.programmatic);
    } catch (const std::exception& error) {
      failure_ = error.what();
      if (!options.faults_stay) continue;
      const std::lock_guard lock(fault_mutex);
      lasting_fault = failure_;
    }
  }
}

void finish_all() {
  const std::lock_guard lock(registry_mutex);
  for (Stream* stream : registry) {
    const std::lock_guard stream_lock(stream->mutex_);
    stream->run_until(stream->added_);
  }
}

}  // namespace deepcache::emulator

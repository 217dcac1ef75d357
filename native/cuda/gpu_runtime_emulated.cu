// The host side of gpu.h on the emulator: small GPUs, so that grids are cut as on a large one.

#include "cuda/gpu.h"

#if !defined(__CUDACC__)

#include <chrono>
#include <cstring>

namespace deepcache::cuda::gpu {
namespace {

using emulator::Node;
using emulator::options;

// What the emulator finds wrong is what a GPU reports when it is waited for.
template <typename Body>
void checked(const Body& body) {
  try {
    body();
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kInternal, std::string("CUDA: ") + error.what());
  }
}

}  // namespace

int device_count() {
  if (options.gpus == 0) throw Error(ErrorCode::kBackendUnavailable, "there is no NVIDIA GPU");
  return options.gpus;
}

Properties properties(int device) {
  if (const emulator::Chip* chip = options.chip)
    return {chip->name,
            chip->major,
            chip->minor,
            chip->multiprocessors,
            chip->block_shared_bytes,
            options.memory_bytes,
            0,
            chip->gpc_multiprocessors > 0};
  if (const int version = options.compute_capability)
    return {"emulated GPU", version / 10, version % 10, 4, 64 << 10, options.memory_bytes};
  if (device == 1) return {"emulated sm_86", 8, 6, 3, 99 << 10, options.memory_bytes};
  if (device == 3) return {"emulated sm_89", 8, 9, 4, 99 << 10, options.memory_bytes};
  if (device == 2) return {"emulated sm_90", 9, 0, 4, 227 << 10, options.memory_bytes, 0, true};
  return {"emulated sm_80", 8, 0, 4, 163 << 10, options.memory_bytes};
}

void use_device(int device) { emulator::use_device(device); }

void allow_shared_memory(const void* kernel) {
  emulator::allow_shared_memory(kernel, properties(emulator::used_device()).shared_bytes);
}

bool clusters_fit(const void*, unsigned cluster, unsigned, size_t) {
  return cluster <= options.largest_cluster;
}

size_t free_memory() { return emulator::free_bytes(); }

void* allocate(size_t bytes) {
  void* data = emulator::allocate(bytes);
  if (!data) out_of_memory(bytes, free_memory());
  return data;
}

void release(void* data) noexcept { emulator::release(data); }

Stream make_stream() { return new emulator::Stream; }
void destroy(Stream stream) noexcept { delete stream; }
void allow_overlap(Stream& stream) { stream->allow_overlap(); }
void declare_constant(const void* data) { emulator::mark_constant(data); }
void synchronize(Stream stream) {
  checked([&] { stream->wait(); });
}

void fill(void* data, int byte, size_t bytes, Stream stream) {
  checked([&] { stream->add(Node::fill, [=] { std::memset(data, byte, bytes); }); });
}

// The source is read at once, as from pageable memory; by a graph whenever it is launched.
void upload(void* to, const void* from, size_t bytes, Stream stream) {
  if (stream->records()) return copy(to, from, bytes, stream);
  const std::string copy(static_cast<const char*>(from), bytes);
  checked([&] { stream->add(Node::copy, [=] { std::memcpy(to, copy.data(), bytes); }); });
}

void download(void* to, const void* from, size_t bytes, Stream stream) {
  if (emulator::dry_run) std::memset(to, 0, bytes);
  checked([&] {
    stream->add(Node::copy, [=] { std::memcpy(to, from, bytes); });
    stream->wait();
  });
}

void copy(void* to, const void* from, size_t bytes, Stream stream) {
  checked([&] { stream->add(Node::copy, [=] { std::memmove(to, from, bytes); }); });
}

Event::~Event() = default;

void Event::record(Stream stream) {
  handle_ = std::make_shared<emulator::Mark>();
  handle_->recorded = stream->records();
  checked([&] {
    stream->add(Node::mark, [mark = handle_] {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      mark->time = std::chrono::duration<double>(now).count();
    });
  });
  handle_->stream = stream;
  handle_->count = stream->added();
}

void Event::wait() const {
  checked([&] {
    if (handle_->recorded) throw std::runtime_error("an event of a graph cannot be waited for");
    handle_->stream->wait_for(handle_->count);
  });
}

double Event::seconds_since(const Event& earlier) const {
  wait();
  return handle_->time - earlier.handle_->time;
}

Graph::Graph(bool overlaps, const std::function<void(Stream)>& enqueue)
    : handle_(new emulator::Graph) {
  try {
    if (overlaps && options.refuses_overlap)
      throw Error(ErrorCode::kInternal, "CUDA: recording a graph failed: as the emulator was told");
    emulator::Stream recording(handle_);
    if (overlaps) recording.allow_overlap();
    checked([&] {
      enqueue(&recording);
      handle_->instantiate();
    });
  } catch (...) {
    delete handle_;
    throw;
  }
}

Graph::~Graph() { delete handle_; }

void Graph::launch(Stream stream) const {
  checked([&] { stream->launch(*handle_); });
}

}  // namespace deepcache::cuda::gpu

#endif

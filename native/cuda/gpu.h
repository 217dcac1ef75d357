#pragma once

// The one header that kernels and the device side include. Under nvcc its names are PTX and the
// CUDA runtime, under any other compiler the emulator's (native/emulator/README.md).
//
// Rules for kernels: PTX only through these wrappers; shared memory only through DYNAMIC_SHARED and
// SHARED_ARRAY; launches only through gpu::launch; activations through Number<T>; what only Hopper
// has (hopper_device.h) under `#if DEEPCACHE_SM90A`. A kernel waits for the grid before it
// (wait_for_previous_grid) before it reads what that one may have written, or writes anything.
//
// PLANTED(n) is false but in the emulator's tests of its tests, which switch on one bug at a time
// (test/emulated/planted_test.cc) and expect that it is found.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "runtime/error.h"

namespace deepcache::cuda {
// A value of e4m3 as it is stored (runtime/e4m3.h).
struct E4m3 {
  uint8_t code;
};
}  // namespace deepcache::cuda

#if defined(__CUDACC__)
#include "cuda/gpu_device.h"
#include "cuda/hopper_device.h"
#else
#include "cuda/gpu_emulated.h"
#include "cuda/hopper_emulated.h"
#endif

namespace deepcache::cuda::gpu {

struct Properties {
  std::string name;
  int major = 0, minor = 0;
  int multiprocessors = 0;
  size_t shared_bytes = 0;  // the most that a block may have
  size_t memory_bytes = 0;
  int driver = 0;  // the newest CUDA that the driver supports, 1000 * major + 10 * minor
  // What the GPU and the library's code for it (kernels/probe.h) can do: clusters of blocks, grids
  // that wait for the one before them, TMA and wgmma.
  bool clusters = false, overlap = false, hopper = false;
  bool fp8 = false;  // products of e4m3
  // Whether wgmma takes a transposed operand whose columns are not a multiple of 64.
  bool odd_transposed_v = false;
  bool once = true;   // whether group norms may read their input once; see Switches
  bool folds = true;  // whether layer norms may be folded into the products behind them
  // Whether a block may go from one part of the work to the next.
  bool persistent = true;

  // Of kernels that have a multiprocessor to themselves.
  int most_blocks() const { return persistent ? multiprocessors : std::numeric_limits<int>::max(); }
};

// Lets a kernel's launches on the device in use ask for all the dynamic shared memory that its
// static arrays leave. Without it they may have 48 KiB less those arrays.
void allow_shared_memory(const void* kernel);

// Whether the device in use can run clusters of so many blocks at all: parts of a GPU, and GPUs
// with processors left out, have fewer that lie together.
bool clusters_fit(const void* kernel, unsigned cluster, unsigned threads, size_t shared_bytes);

// Enqueues a grid; `cluster` neighbouring blocks (in x) run at the same time. More than one from
// sm_90 on.
template <typename... P, typename... A>
void launch_clusters(void (*kernel)(P...), unsigned cluster, dim3 grid, dim3 block,
                     size_t shared_bytes, Stream stream, A&&... arguments) {
  if (shared_bytes > size_t(PLANTED(50) ? 48 << 10 : 0))
    allow_shared_memory(reinterpret_cast<const void*>(kernel));
  enqueue_grid(kernel, cluster, grid, block, shared_bytes, stream, std::forward<A>(arguments)...);
}

// The same of blocks that do not need each other.
template <typename... P, typename... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, Stream stream,
            A&&... arguments) {
  launch_clusters(kernel, 1, grid, block, shared_bytes, stream, std::forward<A>(arguments)...);
}

// Throws Error(kBackendUnavailable) with the reason when there is none that can be used.
int device_count();
Properties properties(int device);
void use_device(int device);
size_t free_memory();

// Throws Error(kOutOfMemory) with what was wanted and what is free.
void* allocate(size_t bytes);
[[noreturn]] inline void out_of_memory(size_t bytes, size_t left) {
  throw Error(ErrorCode::kOutOfMemory,
              "cannot allocate " + std::to_string(bytes >> 20) + " MiB of GPU memory (" +
                  std::to_string(left >> 20) +
                  " MiB are free); use a smaller image or batch, or free memory elsewhere");
}
void release(void* data) noexcept;

Stream make_stream();
// From here on a grid may start before the one before it has ended (programmatic dependent launch).
// For code that wait_for_previous_grid() makes wait: Properties::overlap.
void allow_overlap(Stream& stream);
// What no kernel writes, so that kernels may read it before wait_for_previous_grid(): weights.
void declare_constant(const void* data);
void destroy(Stream stream) noexcept;
// Waits; throws Error(kInternal) when a kernel failed.
void synchronize(Stream stream);
void fill(void* data, int byte, size_t bytes, Stream stream);
void upload(void* to, const void* from, size_t bytes, Stream stream);
void download(void* to, const void* from, size_t bytes, Stream stream);
// On the device.
void copy(void* to, const void* from, size_t bytes, Stream stream);

// A place in a stream; made when it is first recorded.
class Event {
 public:
  Event() = default;
  ~Event();
  Event(Event&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  void record(Stream stream);
  // Until the device has passed it; the thread sleeps. Throws as synchronize() does.
  void wait() const;
  // Waits until the device has passed this one.
  double seconds_since(const Event& earlier) const;

 private:
  EventHandle handle_{};
};

// Kernels that were recorded once and are launched as one, with the arguments that they were
// recorded with: what changes between launches must be in device memory.
class Graph {
 public:
  Graph() = default;  // of nothing
  // `enqueue` launches on the stream that it is given, whose grids may overlap if `overlaps`; no
  // memory may come or go meanwhile.
  Graph(bool overlaps, const std::function<void(Stream)>& enqueue);
  ~Graph();
  Graph(Graph&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Graph& operator=(Graph&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  void launch(Stream stream) const;

 private:
  GraphHandle handle_{};
};

// Bytes that something takes in memory it shares: what lies behind it begins where kernels read it
// 16 bytes at a time, and TMA.
inline size_t aligned_size(size_t bytes) { return (bytes + 255) / 256 * 256; }

// Device memory with an owner.
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t bytes) : data_(bytes ? allocate(bytes) : nullptr), bytes_(bytes) {}
  ~Memory() { release(data_); }
  Memory(Memory&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
    other.bytes_ = 0;
  }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  char* data() const { return static_cast<char*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace deepcache::cuda::gpu

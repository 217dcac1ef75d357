// The host side of gpu.h: devices, memory and streams, from the CUDA runtime or the emulator.

#include "cuda/gpu.h"

#if !defined(__CUDACC__)
#include <chrono>
#include <cstring>
#endif

namespace deepcache::cuda::gpu {
namespace {

std::string mebibytes(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

[[noreturn]] void out_of_memory(size_t bytes, size_t left) {
  throw Error(ErrorCode::kOutOfMemory,
              "cannot allocate " + mebibytes(bytes) + " of GPU memory (" + mebibytes(left) +
                  " are free); use a smaller image or batch, or free memory elsewhere");
}

}  // namespace

#if defined(__CUDACC__)

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw Error(ErrorCode::kInternal, std::string("CUDA: ") + what +
                                        " failed: " + cudaGetErrorString(result) + " (" +
                                        cudaGetErrorName(result) + ")");
}

int device_count() {
  int driver = 0, runtime = 0, count = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  const auto version = [](int v) {
    return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
  };
  if (driver == 0) throw Error(ErrorCode::kBackendUnavailable, "there is no NVIDIA driver");
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorInsufficientDriver)
    throw Error(ErrorCode::kBackendUnavailable, "the NVIDIA driver is too old: it supports CUDA " +
                                                    version(driver) + ", this library needs " +
                                                    version(runtime));
  if (result == cudaErrorNoDevice || (result == cudaSuccess && count == 0))
    throw Error(ErrorCode::kBackendUnavailable, "there is no NVIDIA GPU");
  if (result != cudaSuccess)
    throw Error(ErrorCode::kBackendUnavailable,
                std::string("the NVIDIA driver reports: ") + cudaGetErrorString(result));
  return count;
}

Properties properties(int device) {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, device), "reading a GPU's properties");
  return {p.name,          p.major, p.minor, p.multiProcessorCount, p.sharedMemPerBlockOptin,
          p.totalGlobalMem};
}

void use_device(int device) { check(cudaSetDevice(device), "choosing a GPU"); }

size_t free_memory() {
  size_t left = 0, total = 0;
  check(cudaMemGetInfo(&left, &total), "reading free GPU memory");
  return left;
}

void* allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t result = cudaMalloc(&data, bytes);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it would be reported again by the next launch
    out_of_memory(bytes, free_memory());
  }
  check(result, "allocating memory");
  return data;
}

void release(void* data) noexcept { cudaFree(data); }

Stream make_stream() {
  Stream stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  return stream;
}

void destroy(Stream stream) noexcept { cudaStreamDestroy(stream); }

void synchronize(Stream stream) { check(cudaStreamSynchronize(stream), "a kernel"); }

void fill(void* data, int byte, size_t bytes, Stream stream) {
  check(cudaMemsetAsync(data, byte, bytes, stream), "filling memory");
}

void upload(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "an upload");
}

void download(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "a download");
  synchronize(stream);
}

Event::~Event() {
  if (handle_) cudaEventDestroy(static_cast<cudaEvent_t>(handle_));
}

void Event::record(Stream stream) {
  cudaEvent_t event = static_cast<cudaEvent_t>(handle_);
  if (!event) check(cudaEventCreate(&event), "making an event");
  handle_ = event;
  check(cudaEventRecord(event, stream), "recording an event");
}

double Event::seconds_since(const Event& earlier) const {
  const auto first = static_cast<cudaEvent_t>(earlier.handle_);
  const auto last = static_cast<cudaEvent_t>(handle_);
  float milliseconds = 0;
  check(cudaEventSynchronize(last), "a kernel");
  check(cudaEventElapsedTime(&milliseconds, first, last), "reading an event");
  return milliseconds * 1e-3;
}

#else  // emulated: small GPUs, so that grids are cut as on a large one

int device_count() { return 3; }

Properties properties(int device) {
  if (device == 0) return {"emulated sm_80", 8, 0, 4, 163 << 10, size_t(1) << 30};
  if (device == 1) return {"emulated sm_86", 8, 6, 3, 99 << 10, size_t(1) << 30};
  return {"emulated sm_90", 9, 0, 4, 227 << 10, size_t(1) << 30};
}

void use_device(int) {}

size_t free_memory() { return (size_t(1) << 30) - emulator::allocated_bytes(); }

void* allocate(size_t bytes) {
  const size_t limit = size_t(1) << 30, used = emulator::allocated_bytes();
  void* data = bytes <= limit - used ? emulator::allocate(bytes) : nullptr;
  if (!data) out_of_memory(bytes, limit - used);
  return data;
}

void release(void* data) noexcept { emulator::release(data); }
Stream make_stream() { return nullptr; }
void destroy(Stream) noexcept {}
void synchronize(Stream) {}
void fill(void* data, int byte, size_t bytes, Stream) { std::memset(data, byte, bytes); }
void upload(void* to, const void* from, size_t bytes, Stream) { std::memcpy(to, from, bytes); }
void download(void* to, const void* from, size_t bytes, Stream) { std::memcpy(to, from, bytes); }

Event::~Event() = default;
void Event::record(Stream) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  time_ = std::chrono::duration<double>(now).count();
}
double Event::seconds_since(const Event& earlier) const { return time_ - earlier.time_; }

#endif

}  // namespace deepcache::cuda::gpu

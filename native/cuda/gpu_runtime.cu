// The host side of gpu.h from the CUDA runtime (gpu_runtime_emulated.cu: from the emulator).

#include "cuda/gpu.h"

#if defined(__CUDACC__)

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

#include <mutex>
#include <set>
#include <utility>

namespace deepcache::cuda::gpu {

namespace {

// What the runtime's own words leave open. Only mbarrier_wait() traps, but for faults of shared
// memory the hardware reports the same.
const char* hint(cudaError_t result) {
  if (result != cudaErrorLaunchFailure) return "";
  return ": a kernel waited for seconds for what never came (or left its shared memory)";
}

}  // namespace

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw Error(ErrorCode::kInternal, std::string("CUDA: ") + what +
                                        " failed: " + cudaGetErrorString(result) + " (" +
                                        cudaGetErrorName(result) + ")" + hint(result));
}

// Set once for each kernel and device, to the most: the limit belongs to the process, and lowering
// it would break graphs that were captured.
void allow_shared_memory(const void* kernel) {
  static std::mutex mutex;
  static std::set<std::pair<const void*, int>> allowed;
  int device = 0, most = 0;
  check(cudaGetDevice(&device), "asking for the GPU in use");
  const std::lock_guard lock(mutex);
  if (allowed.contains({kernel, device})) return;
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, kernel), "reading a kernel's properties");
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "reading a GPU's properties");
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             most - int(attributes.sharedSizeBytes)),
        "shared memory of a kernel");
  allowed.insert({kernel, device});
}

bool clusters_fit(const void* kernel, unsigned cluster, unsigned threads, size_t shared_bytes) {
  allow_shared_memory(kernel);
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(cluster);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.attrs = &attribute;
  config.numAttrs = 1;
  int count = 0;
  const cudaError_t result = cudaOccupancyMaxActiveClusters(&count, kernel, &config);
  if (result != cudaSuccess) cudaGetLastError();  // it would be reported again by the next launch
  return result == cudaSuccess && count > 0;
}

namespace {

std::string version_text(int v) {
  return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
}

// "550.54.15", as the driver's management library tells, which needs no particular CUDA.
std::string driver_number() {
  char number[96] = "";
#if !defined(_WIN32)
  using Call = int();
  using GetVersion = int(char*, unsigned);
  void* const library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return "";
  const auto start = reinterpret_cast<Call*>(dlsym(library, "nvmlInit_v2"));
  const auto read = reinterpret_cast<GetVersion*>(dlsym(library, "nvmlSystemGetDriverVersion"));
  const auto stop = reinterpret_cast<Call*>(dlsym(library, "nvmlShutdown"));
  if (start && read && stop && start() == 0) {
    if (read(number, sizeof number) != 0) number[0] = 0;
    stop();
  }
  dlclose(library);
#endif
  return number;
}

// The oldest driver that a library can run on that was built with this CUDA: drivers serve all
// minor versions of the major one that they came with.
const char* oldest_driver(int runtime) {
  if (runtime >= 13000) return "580";
  return runtime >= 12000 ? "525" : "450";
}

}  // namespace

int device_count() {
  int driver = 0, runtime = 0, count = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) throw Error(ErrorCode::kBackendUnavailable, "there is no NVIDIA driver");
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorInsufficientDriver) {
    const std::string number = driver_number();
    throw Error(ErrorCode::kBackendUnavailable,
                "the NVIDIA driver" + (number.empty() ? "" : " " + number) +
                    " is too old: it supports CUDA " + version_text(driver) +
                    ", and this library, built with CUDA " + version_text(runtime) +
                    ", needs driver " + oldest_driver(runtime) + " or newer");
  }
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
  Properties out{p.name,          p.major, p.minor, p.multiProcessorCount, p.sharedMemPerBlockOptin,
                 p.totalGlobalMem};
  check(cudaDriverGetVersion(&out.driver), "reading the driver's version");
  int clusters = 0;
  check(cudaDeviceGetAttribute(&clusters, cudaDevAttrClusterLaunch, device),
        "reading a GPU's properties");
  out.clusters = clusters != 0;
  return out;
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
  check(cudaStreamCreateWithFlags(&stream.handle, cudaStreamNonBlocking), "making a stream");
  return stream;
}

void destroy(Stream stream) noexcept {
  if (stream.handle) cudaStreamDestroy(stream.handle);
}

void allow_overlap(Stream& stream) { stream.overlaps = true; }
void declare_constant(const void*) {}  // only the emulator looks

void synchronize(Stream stream) { check(cudaStreamSynchronize(stream.handle), "a kernel"); }

void fill(void* data, int byte, size_t bytes, Stream stream) {
  check(cudaMemsetAsync(data, byte, bytes, stream.handle), "filling memory");
}

void upload(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream.handle), "an upload");
}

void download(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream.handle), "a download");
  synchronize(stream);
}

void copy(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream.handle), "a copy");
}

Event::~Event() {
  if (handle_) cudaEventDestroy(handle_);
}

void Event::record(Stream stream) {
  if (!handle_) check(cudaEventCreateWithFlags(&handle_, cudaEventBlockingSync), "making an event");
  check(cudaEventRecord(handle_, stream.handle), "recording an event");
}

void Event::wait() const { check(cudaEventSynchronize(handle_), "a kernel"); }

double Event::seconds_since(const Event& earlier) const {
  wait();
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, earlier.handle_, handle_), "reading an event");
  return milliseconds * 1e-3;
}

namespace {

// Of a stream of its own: other threads may use the context's meanwhile. Relaxed, since a kernel's
// code may be loaded when it is first recorded.
cudaGraph_t capture(bool overlaps, const std::function<void(Stream)>& enqueue) {
  Stream stream = make_stream();
  stream.overlaps = overlaps;
  cudaGraph_t graph = nullptr;
  try {
    check(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeRelaxed), "recording a graph");
    enqueue(stream);
    check(cudaStreamEndCapture(stream.handle, &graph), "recording a graph");
  } catch (...) {
    if (!graph) cudaStreamEndCapture(stream.handle, &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    destroy(stream);
    throw;
  }
  destroy(stream);
  return graph;
}

}  // namespace

Graph::Graph(bool overlaps, const std::function<void(Stream)>& enqueue) {
  const cudaGraph_t graph = capture(overlaps, enqueue);
  const cudaError_t result = cudaGraphInstantiate(&handle_, graph, 0);
  cudaGraphDestroy(graph);
  if (result != cudaSuccess) cudaGetLastError();  // it would be reported again by the next launch
  if (result == cudaErrorMemoryAllocation)
    throw Error(ErrorCode::kOutOfMemory, "there is no GPU memory left for a CUDA graph (" +
                                             std::to_string(free_memory() >> 20) +
                                             " MiB are free)");
  check(result, "making a graph");
}

Graph::~Graph() {
  if (handle_) cudaGraphExecDestroy(handle_);
}

void Graph::launch(Stream stream) const {
  check(cudaGraphLaunch(handle_, stream.handle), "launching a graph");
}

}  // namespace deepcache::cuda::gpu

#endif

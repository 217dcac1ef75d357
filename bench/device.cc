#include "device.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "../native/cuda/host/library.h"
#include "../native/runtime/error.h"
#include "machine.h"

namespace deepcache::bench {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

double Device::seconds(const std::function<void()>& enqueue) const {
  if (gpu) {
    gpu->time_begin();
    enqueue();
    return gpu->time_end();
  }
  const double start = now();
  enqueue();
  return now() - start;
}

Device open_device(const std::string& device, const std::string& type, int threads) {
  if (device == "cpu") {
    const Products products = type == "fp8"    ? Products::fp8
                              : type == "bf16" ? Products::bf16
                                               : Products::fp32;
    return {device, to_string(products), make_cpu_backend(threads, products)};
  }
  if (!cuda::device_index(device))
    throw Error(ErrorCode::kInvalidArgument,
                "--device must be cpu, cuda or cuda:<number>, got " + device);
  if (type != "fp16" && type != "bf16" && type != "fp8")
    throw Error(ErrorCode::kInvalidArgument, "--type must be fp16, bf16 or fp8, got " + type);
  // Where the build puts it, unless the environment says otherwise.
  setenv("DEEPCACHE_CUDA_LIBRARY", DEEPCACHE_BUILT "/libdeepcache_cuda.so", 0);
  Device out{device, type,
             cuda::open_device(
                 device, type == "bf16" ? cuda::ActivationType::bf16 : cuda::ActivationType::fp16,
                 type == "fp8")};
  out.gpu = static_cast<cuda::CudaBackend*>(out.backend.get());
  return out;
}

JsonObject describe(const Device& device, const std::string& what) {
  JsonObject out;
  out.add("what", what).add("device", device.name).raw("machine", machine_json());
  if (!device.gpu) return out;
  const int index = cuda::device_index(device.name).value();
  cuda::DeviceInfo info;
  cuda::call(cuda::library().device_info, index, &info);
  JsonObject gpu;
  gpu.add("name", info.name)
      .add("architecture", "sm_" + std::to_string(10 * info.major + info.minor))
      .add("multiprocessors", info.multiprocessors)
      .add("memory_gib", double(info.memory_bytes) / (1 << 30));
  constexpr const char* kFields =
      "driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu";
  gpu.add(kFields, output_of("nvidia-smi --id=" + std::to_string(index) +
                             " --query-gpu=" + kFields + " --format=csv,noheader 2>/dev/null"));
  gpu.add("features", features_of(device));
  return out.raw("gpu", gpu.str());
}

std::string features_of(const Device& device) {
  std::string text = device.gpu->describe();
  for (size_t end; (end = text.find('\n')) != std::string::npos;) text.replace(end, 1, "; ");
  return text;
}

std::string gpu_clocks(const Device& device) {
  return output_of("nvidia-smi --id=" + std::to_string(cuda::device_index(device.name).value()) +
                   " --query-gpu=clocks.sm,clocks.mem,power.draw,temperature.gpu"
                   " --format=csv,noheader 2>/dev/null");
}

void Timing::add_to(JsonObject& row) const {
  row.add("ms", 1e3 * median).add("ms_low", 1e3 * low).add("ms_high", 1e3 * high).add("runs", runs);
}

Timing measure(const Device& device, double budget, const std::function<void()>& prepare,
               const std::function<void()>& enqueue) {
  const auto once = [&] {
    prepare();
    return device.seconds(enqueue);
  };
  const size_t fewest = budget > 0 ? 3 : 1;
  if (budget > 0 && once() < budget / 4) once();
  std::vector<double> times;
  double spent = 0;
  while (times.size() < fewest || (spent < budget && times.size() < 200)) {
    times.push_back(once());
    spent += times.back();
  }
  std::sort(times.begin(), times.end());
  const size_t count = times.size(), cut = count / 10;
  return {times[count / 2], times[cut], times[count - 1 - cut], int(count)};
}

}  // namespace deepcache::bench

#include "backend.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "arguments.h"
#include "cpu/backend.h"
#include "cuda/host/backend.h"
#include "cuda_library.h"
#include "errors.h"
#include "runtime/error.h"
#include "values.h"

namespace deepcache::addon {
namespace {

bool is_cuda(const std::string& device) {
  if (!device.starts_with("cuda")) return false;
  const std::string rest = device.substr(4);
  return rest.empty() ||
         (rest[0] == ':' && rest.size() > 1 && rest.size() < 6 &&
          std::all_of(rest.begin() + 1, rest.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

Napi::Object device_info(Napi::Env env, const std::string& device, const std::string& name,
                         const std::string& reason) {
  Napi::Object out = Napi::Object::New(env);
  out["device"] = device;
  out["name"] = name;
  out["available"] = Napi::Boolean::New(env, reason.empty());
  if (!reason.empty()) out["reason"] = reason;
  return out;
}

Napi::Object cpu_info(Napi::Env env) {
  const int threads = cpu::available_cpus();
  const std::string name =
      processor_name() + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
  try {
    return device_info(env, "cpu", name + ", " + cpu::choose_kernels().name, "");
  } catch (const Error& error) {  // DEEPCACHE_ISA names kernels that do not run here
    return device_info(env, "cpu", name, error.what());
  }
}

cuda::DeviceInfo cuda_device(int index) {
  cuda::DeviceInfo info;
  cuda::call(cuda_api().device_info, index, &info);
  return info;
}

std::string architecture(const cuda::DeviceInfo& info) {
  return "sm_" + std::to_string(10 * info.major + info.minor);
}

// Names the device that was asked for, whatever the reason.
std::shared_ptr<Backend> open_cuda(const std::string& device, int index,
                                   cuda::ActivationType type) {
  try {
    return std::make_shared<cuda::CudaBackend>(cuda_api(), index, type);
  } catch (const Error& error) {
    throw Error(error.code(), "device '" + device + "' is not available: " + error.what());
  }
}

cuda::ActivationType activation_type(const Argument& argument) {
  if (!argument.given()) return cuda::ActivationType::fp16;
  const std::string name = argument.string();
  if (name != "fp16" && name != "bf16") argument.fail("'fp16' or 'bf16'", "'" + name + "'");
  return name == "fp16" ? cuda::ActivationType::fp16 : cuda::ActivationType::bf16;
}

}  // namespace

Napi::Function NativeBackend::define_class(Napi::Env env) {
  return DefineClass(env, "Backend", {});
}

NativeBackend::NativeBackend(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    const Napi::Env env = info.Env();
    const Argument options(info[0], "options");
    const std::string device = options["device"].string();
    const int threads = int(options["threads"].integer(0, 1024));
    const cuda::ActivationType type = activation_type(options["dtype"]);
    const auto object = info.This().As<Napi::Object>();
    define(object, "device", Napi::String::New(env, device));
    if (is_cuda(device)) {
      const int index = device.size() > 5 ? std::stoi(device.substr(5)) : 0;
      backend_ = open_cuda(device, index, type);
      define(object, "threads", Napi::Number::New(env, 0));
      define(object, "isa", Napi::String::New(env, architecture(cuda_device(index))));
    } else if (device == "cpu") {
      backend_ = make_cpu_backend(threads);
      auto& cpu = static_cast<cpu::CpuBackend&>(*backend_);
      define(object, "threads", Napi::Number::New(env, cpu.pool().threads()));
      define(object, "isa", Napi::String::New(env, cpu.kernels().name));
    } else {
      options["device"].fail("'cpu', 'cuda' or 'cuda:<number>'", "'" + device + "'");
    }
    object.TypeTag(&kTypeTag);
  });
}

Napi::Value devices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Napi::Array out = Napi::Array::New(env);
    out[0u] = cpu_info(env);
    try {
      const int count = cuda_device_count();
      for (int i = 0; i < count; i++) {
        const cuda::DeviceInfo gpu = cuda_device(i);
        const std::string name = std::string(gpu.name) + ", " + architecture(gpu);
        out[uint32_t(i + 1)] = device_info(env, "cuda:" + std::to_string(i), name,
                                           gpu.major < 8 ? "the GPU is older than Ampere" : "");
      }
    } catch (const Error& error) {
      out[1u] = device_info(env, "cuda", "NVIDIA GPU", error.what());
    }
    return out;
  });
}

}  // namespace deepcache::addon

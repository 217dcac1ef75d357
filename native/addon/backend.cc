#include "backend.h"

#include <fstream>
#include <string>
#include <utility>

#include "arguments.h"
#include "classes.h"
#include "cpu/backend.h"
#include "cuda/host/backend.h"
#include "cuda/host/library.h"
#include "errors.h"
#include "runtime/cpu_count.h"
#include "runtime/error.h"
#include "values.h"

namespace deepcache::addon {
namespace {

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
  const int threads = available_cpus();
  const std::string name =
      processor_name() + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
  try {
    const std::string kernels = cpu::choose_kernels().name, bf16 = cpu::choose_kernels(true).name;
    const std::string other = bf16 == kernels ? "" : ", with dtype bf16 " + bf16;
    return device_info(env, "cpu", name + ", " + kernels + other, "");
  } catch (const Error& error) {  // DEEPCACHE_ISA names kernels that do not run here
    return device_info(env, "cpu", name, error.what());
  }
}

cuda::DeviceInfo cuda_device(int index) {
  cuda::DeviceInfo info;
  cuda::call(cuda::library().device_info, index, &info);
  return info;
}

std::string architecture(const cuda::DeviceInfo& info) {
  return "sm_" + std::to_string(10 * info.major + info.minor);
}

// Of a GPU.
std::string type_name(const Argument& argument) {
  const std::string name = argument.given() ? argument.string() : "fp16";
  if (name != "fp16" && name != "bf16" && name != "fp8")
    argument.fail("'fp16', 'bf16' or 'fp8'", "'" + name + "'");
  return name;
}

// Calls a function whose jobs take their memory from the reservation.
Napi::Value call_within(const Napi::CallbackInfo& call,
                        const std::shared_ptr<Reservation>& reservation) {
  Classes& classes = Classes::of(call.Env());
  const Napi::Function start = Argument(call[0], "start").function();
  const auto outer = std::exchange(classes.reservation, reservation);
  try {
    const Napi::Value result = start.Call({});
    classes.reservation = outer;
    return result;
  } catch (...) {
    classes.reservation = outer;
    throw;
  }
}

}  // namespace

Napi::Function NativeBackend::define_class(Napi::Env env) {
  return DefineClass(env, "Backend",
                     {InstanceMethod<&NativeBackend::available_memory>("availableMemory"),
                      InstanceMethod<&NativeBackend::reserve>("reserve")});
}

std::shared_ptr<Backend> NativeBackend::lease() {
  std::shared_ptr<Backend> lease = leased_.lock();
  if (lease) return lease;
  lease = {backend_.get(), [backend = backend_](Backend*) {
             if (auto* cpu = dynamic_cast<cpu::CpuBackend*>(backend.get())) cpu->pool().stop();
           }};
  leased_ = lease;
  return lease;
}

Napi::Value NativeBackend::available_memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&]() -> Napi::Value { return to_js(info.Env(), backend_->free_memory()); });
}

Napi::Value NativeBackend::reserve(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const size_t bytes = size_t(Argument(info[0], "bytes").integer(0, int64_t(1) << 53));
    const auto reservation = Ledger::of(backend_->name()).reserve(bytes, [this] {
      return backend_->available_memory();
    });
    if (!reservation) return env.Null();
    Napi::Object out = Napi::Object::New(env);
    out["within"] = Napi::Function::New(env, [reservation](const Napi::CallbackInfo& call) {
      return guarded(call.Env(), [&] { return call_within(call, reservation); });
    });
    out["release"] = Napi::Function::New(
        env, [reservation](const Napi::CallbackInfo&) { reservation->release(); });
    return out;
  });
}

NativeBackend::NativeBackend(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    const Napi::Env env = info.Env();
    const Argument options(info[0], "options");
    const std::string device = options["device"].string();
    const int threads = int(options["threads"].integer(0, 1024));
    const auto object = info.This().As<Napi::Object>();
    define(object, "device", Napi::String::New(env, device));
    if (const std::optional<int> index = cuda::device_index(device)) {
      const std::string type = type_name(options["dtype"]);
      backend_ = cuda::open_device(
          device, type == "bf16" ? cuda::ActivationType::bf16 : cuda::ActivationType::fp16,
          type == "fp8");
      if (const Argument tune = options["autotune"]; tune.given() && tune.boolean())
        static_cast<cuda::CudaBackend&>(*backend_).set_tuning("", true);
      define(object, "threads", Napi::Number::New(env, 0));
      define(object, "dtype", Napi::String::New(env, type));
      define(object, "isa", Napi::String::New(env, architecture(cuda_device(*index))));
    } else if (device == "cpu") {
      const Argument type = options["dtype"];
      const auto named = [&](const char* name) { return type.given() && type.string() == name; };
      const Products products = named("bf16")  ? Products::bf16
                                : named("fp8") ? Products::fp8
                                               : Products::fp32;
      backend_ = make_cpu_backend(threads, products);
      auto& cpu = static_cast<cpu::CpuBackend&>(*backend_);
      define(object, "threads", Napi::Number::New(env, cpu.pool().threads()));
      define(object, "dtype", Napi::String::New(env, to_string(products)));
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
      const int count = cuda::device_count();
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

Napi::Value set_cuda_library(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    cuda::set_library(Argument(info[0], "path").path());
    return info.Env().Undefined();
  });
}

}  // namespace deepcache::addon

#include "backend.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "arguments.h"
#include "cpu/backend.h"
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
    if (is_cuda(device))
      throw Error(ErrorCode::kBackendUnavailable,
                  "device '" + device + "' is not available: " + why_no_cuda());
    if (device != "cpu")
      options["device"].fail("'cpu', 'cuda' or 'cuda:<number>'", "'" + device + "'");
    backend_ = make_cpu_backend(threads);
    auto& cpu = static_cast<cpu::CpuBackend&>(*backend_);
    const auto object = info.This().As<Napi::Object>();
    define(object, "device", Napi::String::New(env, device));
    define(object, "threads", Napi::Number::New(env, cpu.pool().threads()));
    define(object, "isa", Napi::String::New(env, cpu.kernels().name));
    object.TypeTag(&kTypeTag);
  });
}

Napi::Value devices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Napi::Array out = Napi::Array::New(env, 2);
    out[0u] = cpu_info(env);
    out[1u] = device_info(env, "cuda", "NVIDIA GPU", why_no_cuda());
    return out;
  });
}

}  // namespace deepcache::addon

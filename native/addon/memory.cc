#include "memory.h"

#include <fstream>
#include <string>

#include "errors.h"
#include "runtime/memory.h"
#include "values.h"

namespace deepcache::addon {

Napi::Value available_memory_bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&]() -> Napi::Value { return to_js(info.Env(), available_memory()); });
}

Napi::Value resident_memory_bytes(const Napi::CallbackInfo& info) {
  size_t kibibytes = 0;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "RssAnon:") continue;
    status >> kibibytes;
    break;
  }
  return to_js(info.Env(), kibibytes * 1024);
}

}  // namespace deepcache::addon

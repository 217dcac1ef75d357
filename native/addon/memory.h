#pragma once

#include <napi.h>

namespace deepcache::addon {

// availableMemory and residentMemory of lib/native/types.ts, in bytes.
Napi::Value available_memory_bytes(const Napi::CallbackInfo& info);
Napi::Value resident_memory_bytes(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon

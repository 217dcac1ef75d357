#pragma once

#include <napi.h>

namespace deepcache::addon {

// (backend, request) -> Job: NativeAddon.freeU of lib/native/types.ts.
Napi::Value free_u(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon

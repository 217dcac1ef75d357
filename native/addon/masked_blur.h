#pragma once

#include <napi.h>

namespace deepcache::addon {

// (backend, request) -> Job: NativeAddon.maskedBlur of lib/native/types.ts.
Napi::Value masked_blur(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon

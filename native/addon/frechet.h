#pragma once

#include <napi.h>

namespace deepcache::addon {

// (request) -> Job<number>: NativeAddon.traceOfRoot of lib/native/types.ts.
Napi::Value trace_of_root(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon

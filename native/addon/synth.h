#pragma once

#include <napi.h>

namespace deepcache::addon {

// Synthetic weights (runtime/synth.h): synthesize and writeSynthetic of lib/native/types.ts.
Napi::Value synthesize(const Napi::CallbackInfo& info);
Napi::Value write_synthetic_file(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon

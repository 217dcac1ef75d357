#pragma once

#include <napi.h>

namespace deepcache::addon {

// (tensor: TensorSource, terms: AdapterTerm[]) -> Job of its values with the terms on them, in
// fp32 and in the order of its shape: what a loaded model would pack.
Napi::Value adapted_tensor(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon

#pragma once

#include <memory>
#include <string>

#include "cuda/api.h"
#include "runtime/backend.h"

namespace deepcache::addon {

// The CUDA backend is a library of its own beside the addon (or where the environment variable
// DEEPCACHE_CUDA_LIBRARY says), loaded on demand, so that neither the addon nor `npm install` needs
// a GPU, a driver or a CUDA toolkit.

// The library's functions. Throws Error(kBackendUnavailable) with the reason in words: no library,
// one that does not load, one of another version.
const cuda::Api& cuda_api();

// The number of usable NVIDIA GPUs. Throws the same, also when there is no driver or no GPU.
int cuda_device_count();

}  // namespace deepcache::addon

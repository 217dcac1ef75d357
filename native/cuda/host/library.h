#pragma once

// The CUDA backend is a library of its own, loaded on demand, so that neither the addon nor
// `npm install` needs a GPU, a driver or a CUDA toolkit: the one that the environment variable
// DEEPCACHE_CUDA_LIBRARY names, else the one beside what loads it, else that of set_library.

#include <memory>
#include <optional>
#include <string>

#include "cuda/api.h"
#include "runtime/backend.h"

namespace deepcache::cuda {

// The library to use when none lies beside; without effect once one was loaded.
void set_library(const std::string& path);

// The library's functions. Throws Error(kBackendUnavailable) with the reason in words: no library,
// one that does not load, one of another version.
const Api& library();

// The number of usable NVIDIA GPUs. Throws the same, also when there is no driver or no GPU.
int device_count();

// i of "cuda:<i>", 0 of "cuda"; nothing of other names.
std::optional<int> device_index(const std::string& device);

// A device whose name has an index. Errors name the device.
std::unique_ptr<Backend> open_device(const std::string& device, ActivationType type,
                                     bool fp8 = false);

}  // namespace deepcache::cuda

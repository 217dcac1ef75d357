#pragma once

#include <string>

namespace deepcache::addon {

// Why this process has no CUDA backend, in words. The backend is a library of its own beside the
// addon (or where the environment variable DEEPCACHE_CUDA_LIBRARY says), loaded on demand, so that
// neither the addon nor `npm install` needs a GPU, a driver or a CUDA toolkit.
std::string why_no_cuda();

}  // namespace deepcache::addon

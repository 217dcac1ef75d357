#pragma once

#include <cstddef>

#include "types.h"

namespace deepcache::emulator {

// With the environment variable DEEPCACHE_LAUNCH_LOG, appends to that file, once for each kernel
// and size of its blocks, a line "OFFSET THREADS DYNAMIC_SHARED_BYTES CLUSTER". OFFSET is the
// kernel's in the library or executable, hexadecimal: `nm` tells its name.
// scripts/kernels/resources.mjs reads it.
void log_launch(const void* kernel, dim3 block, size_t shared_bytes, unsigned cluster);

}  // namespace deepcache::emulator

#pragma once

// How much shared memory a kernel's launches may have, as CUDA keeps it: for each kernel and device
// 48 KiB, static arrays included, until more is allowed (the attribute
// MaxDynamicSharedMemorySize). Static arrays are known only when a block reaches them: a launch is
// refused for its dynamic memory, a block fails at the array that goes over the limit.

#include <cstddef>

namespace deepcache::emulator {

constexpr size_t kDefaultSharedBytes = 48 << 10;

// `bytes` of static and dynamic memory together, on the device that the thread uses.
void allow_shared_memory(const void* kernel, size_t bytes);
size_t allowed_shared_memory(const void* kernel);
// As in a new process.
void forget_allowed_shared_memory();

}  // namespace deepcache::emulator

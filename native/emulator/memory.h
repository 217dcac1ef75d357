#pragma once

// Global memory. Every buffer ends at a guard page and is filled with NaN, and its range is known,
// so that instructions with addresses in them can be checked.

#include <cstddef>

namespace deepcache::emulator {

// Of the device that the thread uses; null when there is no memory left.
void* allocate(size_t bytes);
void release(void* data);
bool in_global(const void* data, size_t bytes);
size_t allocated_bytes();
size_t free_bytes();  // of the thread's device

}  // namespace deepcache::emulator

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

// What no kernel writes: threads may read it while the grid before theirs runs (previous_grid.h).
void mark_constant(const void* data);
bool is_constant(const void* data);

// All other buffers are closed while a thread runs that may not access them yet; ThreadSanitizer's
// and AddressSanitizer's builds, which handle faults themselves, go without.
extern bool memory_closed;
void open_memory();
// As the running thread may access it.
void guard_memory();
// Whether an access faulted for that.
bool is_closed(const void* data);

}  // namespace deepcache::emulator

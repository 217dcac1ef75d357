#pragma once

// Shared memory of the running block. It holds NaN (all bits set) until it is written.

#include <cstddef>

namespace deepcache::emulator {

char* dynamic_shared();
// The array that is declared at this place of the source; the same for all threads of the block.
char* static_shared(const char* file, int line, size_t bytes, size_t align);
// Fails unless [data, data + bytes) is shared memory, aligned.
void require_shared(const void* data, size_t bytes, size_t align, const char* what,
                    const char* file, int line);

}  // namespace deepcache::emulator

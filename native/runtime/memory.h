#pragma once

#include <cstddef>
#include <string>

namespace deepcache {

// Bytes that this process can still take: the machine's or its cgroup's limit, whichever is lower.
size_t available_memory();

// Throws Error(kOutOfMemory) naming `what`, the need and what there is.
void require_memory(size_t bytes, const std::string& what);

// "1.25 GiB".
std::string format_bytes(size_t bytes);

}  // namespace deepcache

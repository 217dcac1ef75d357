#pragma once

#include <cstddef>
#include <string>

namespace deepcache {

// Bytes that this process can still take: the machine's or its cgroups' limit, whichever is lower.
// The environment variable DEEPCACHE_MEMORY_LIMIT (bytes) replaces what is found.
size_t available_memory();

// The same from the files under `root` ("" for the machine's own; tests lay out others), without
// the environment variable. Linux only.
size_t available_memory_under(const std::string& root);

// "1.25 GiB".
std::string format_bytes(size_t bytes);

}  // namespace deepcache

#pragma once

#include <cstddef>
#include <functional>
#include <mutex>

#include "types.h"

namespace deepcache::emulator {

extern dim3 grid_size, block_size;
extern unsigned cluster_size;

// Held while a grid runs, and while the memory that it may access changes.
extern std::mutex grid_mutex;

// Runs a grid to its end: clusters of `cluster` blocks (neighbours in x) in random order,
// `options.resident` blocks interleaved. Throws std::runtime_error with what went wrong.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, unsigned cluster,
              std::function<void()> thread);

}  // namespace deepcache::emulator

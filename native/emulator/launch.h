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

// The size of a launch; a cluster is of neighbours in x.
struct LaunchSize {
  dim3 grid, block;
  size_t shared_bytes = 0;  // dynamic
  size_t shared_limit = 0;  // of static and dynamic memory; see shared_limit.h
  unsigned cluster = 1;
  bool overlaps = false;  // may begin while the grid before it runs
};

// Throws std::runtime_error when CUDA would refuse the launch.
void check_launch(const LaunchSize& size);

// Runs a grid to its end: clusters in random order, `options.resident` blocks interleaved. Throws
// std::runtime_error with what went wrong.
void run_grid(const LaunchSize& size, std::function<void()> thread);

}  // namespace deepcache::emulator

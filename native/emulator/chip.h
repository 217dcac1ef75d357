#pragma once

// Real GPUs, as far as launches depend on them.

#include <cstddef>
#include <string>

namespace deepcache::emulator {

// What the CUDA programming guide calls technical specifications of a compute capability, and what
// belongs to the product. The same everywhere: 1024 threads and 64 Ki registers a block, 255
// registers a thread, 48 KiB of shared memory a block that was not asked for.
struct Chip {
  const char* name;
  int major, minor;
  const char* code;  // what nvcc calls the code that it runs
  int multiprocessors;
  int gpc_multiprocessors;  // of the largest group that a cluster fits in; 0: no clusters
  // Of a multiprocessor.
  int threads, blocks;
  size_t shared_bytes;
  size_t block_shared_bytes;  // the most that a block may ask for
};

constexpr size_t kSharedOfSystem = 1 << 10;  // bytes of a block
constexpr int kMostThreads = 1024, kMostThreadRegisters = 255, kMostCluster = 8;

// By name; null: there is none.
const Chip* find_chip(const std::string& name);
// One after the other; null behind the last.
const Chip* chip_at(size_t index);

}  // namespace deepcache::emulator

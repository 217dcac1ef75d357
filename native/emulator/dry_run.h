#pragma once

// Programs made and enqueued as on a GPU, but nothing is executed: launches go to an observer,
// copies go nowhere, and memory is addresses alone, so that the largest models on the largest GPUs
// take a test's time and memory (test/launches/).

#include <cstddef>

#include "launch.h"

namespace deepcache::emulator {

// What cudaLaunchKernelEx is told.
struct Launch {
  const void* kernel = nullptr;
  LaunchSize size;
  size_t parameter_bytes = 0;  // of the kernel's arguments
  bool overlaps = false;       // programmatic stream serialization
};

class DryRun {
 public:
  virtual ~DryRun() = default;
  virtual void launch(const Launch& launch) = 0;
};

// From here on; null: kernels are executed. What was allocated before must be freed before or
// after both.
inline DryRun* dry_run = nullptr;

// Bytes of a kernel's arguments, laid out as the members of a struct.
template <typename... P>
constexpr size_t parameter_bytes() {
  size_t bytes = 0;
  ((bytes = (bytes + alignof(P) - 1) / alignof(P) * alignof(P) + sizeof(P)), ...);
  return bytes;
}

}  // namespace deepcache::emulator

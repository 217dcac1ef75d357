#pragma once

// The kernels of this executable, and what they take of a multiprocessor when nvcc compiles them.

#include <cstddef>
#include <map>
#include <string>

#include "emulator/chip.h"

namespace deepcache::launches {

struct Kernel {
  std::string name;
  int registers = 0;  // of a thread
  size_t static_bytes = 0;
};

// Reads lines "OFFSET REGISTERS STATIC_BYTES NAME", offsets in hexadecimal from where the
// executable is loaded, 0 and 0 for what was not recorded (scripts/test-launches.mjs). Throws
// Error(kInvalidArgument).
class Kernels {
 public:
  explicit Kernels(const std::string& path);
  // Throws Error(kInternal) for what is none.
  const Kernel& find(const void* kernel) const;

 private:
  std::map<const void*, Kernel> kernels_;
};

}  // namespace deepcache::launches

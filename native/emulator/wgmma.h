#pragma once

// wgmma: products that the four warps of a warpgroup ask for together, and that run asynchronously
// in the order of their issue. Each warp's 16 rows are a part of their own: its operands are read
// at any time until that warp waits for the group. Accumulators hold NaN for as long.

#include <cstdint>

namespace deepcache::emulator {

struct WgmmaShape {
  int columns;  // of b and d; a has 64 rows
  int type;     // matrix.h's FragmentType: k is 16, or 32 of e4m3
  bool transposed_b, accumulate;
  bool operator==(const WgmmaShape&) const = default;
};

// `a` and `b` are descriptors; `a_registers` replaces a.
void wgmma(float* d, uint64_t a, const uint32_t* a_registers, uint64_t b, const WgmmaShape& shape,
           const char* file, int line);
void wgmma_fence();
void wgmma_commit();
// Until at most `keep` groups are in flight.
void wgmma_wait(int keep, const char* file, int line);
// The shared-memory address of an operand.
uint32_t wgmma_operand(const void* data, const char* file, int line);

}  // namespace deepcache::emulator

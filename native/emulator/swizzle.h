#pragma once

#include <cstdint>

namespace deepcache::emulator {

// Where byte `address` (from a multiple of 1024) of a tile of rows lies in TMA's and wgmma's
// swizzles of 32 (mode 1), 64 (2) and 128 bytes (3): the number of the row is added, without carry,
// to that of the 16-byte chunk in it.
constexpr uint32_t swizzled(uint32_t address, int mode) {
  constexpr uint32_t kChunkBits[4] = {0, 0x10, 0x30, 0x70};
  return address ^ (address >> 3 & kChunkBits[mode]);
}

}  // namespace deepcache::emulator

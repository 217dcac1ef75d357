#pragma once

namespace deepcache::cuda {

// A shared-memory matrix descriptor of wgmma in the 128-byte swizzle, whose pattern begins at
// a multiple of 1024 bytes (base offset 0). PTX manual, "Matrix Descriptor Format".
DEVICE uint64_t matrix_descriptor(uint32_t address, int leading_bytes, int stride_bytes) {
  constexpr uint64_t kSwizzle128 = 1ull << 62;
  return uint64_t(address >> 4 & 0x3fff) | uint64_t(leading_bytes >> 4) << 16 |
         uint64_t(stride_bytes >> 4) << 32 | kSwizzle128;
}

}  // namespace deepcache::cuda

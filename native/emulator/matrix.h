#pragma once

// The matrix instructions of sm_80: ldmatrix and mma.sync m16n8k16 with fp32 accumulators; and of
// sm_89: m16n8k32 of e4m3.

#include <cstdint>

namespace deepcache::emulator {

enum FragmentType { kHalf, kBfloat16, kE4m3 };

float widen(uint16_t bits, int type);
// Eight values of 16 bits.
void widen8(const void* bits, int type, float* out);

// Lane l gives the address of row l % 8 of matrix l / 8; `count` matrices of 8 rows of 16 bytes.
void ldmatrix(uint32_t* registers, int count, bool transposed, const void* row, const char* file,
              int line);
void mma_16816(float* d, const uint32_t* a, const uint32_t* b, int type, const char* file,
               int line);
void mma_16832_e4m3(float* d, const uint32_t* a, const uint32_t* b, const char* file, int line);

}  // namespace deepcache::emulator

#include "matrix.h"

#include <algorithm>
#include <cstring>

#include "runtime/e4m3.h"
#include "runtime/half.h"
#include "shared_memory.h"
#include "warp.h"

namespace deepcache::emulator {
namespace {

struct Rows {
  const char* row;
  uint32_t* registers;
};

template <int kCount, bool kTransposed>
void execute_ldmatrix(void** arguments, uint32_t) {
  for (int matrix = 0; matrix < kCount; matrix++) {
    const char* rows[8];
    int banks[8] = {}, worst = 1;
    for (int j = 0; j < 8; j++) {
      rows[j] = static_cast<Rows*>(arguments[matrix * 8 + j])->row;
      worst = std::max(worst, ++banks[reinterpret_cast<uintptr_t>(rows[j]) / 16 % 8]);
    }
    statistics.ldmatrix_phases++;
    statistics.ldmatrix_wavefronts += worst;
    for (int l = 0; l < 32; l++) {
      const int major = l >> 2, pair = l & 3;
      uint32_t value;
      if (!kTransposed) {
        std::memcpy(&value, rows[major] + pair * 4, 4);
      } else {
        uint16_t low, high;
        std::memcpy(&low, rows[2 * pair] + major * 2, 2);
        std::memcpy(&high, rows[2 * pair + 1] + major * 2, 2);
        value = low | uint32_t(high) << 16;
      }
      static_cast<Rows*>(arguments[l])->registers[matrix] = value;
    }
  }
}

struct Fragments {
  float* d;
  const uint32_t *a, *b;
};

// The PTX manual's layout: group g = lane / 4 holds rows g and g + 8, pairs of columns at 2 * (lane
// % 4).
template <int kType>
void execute_mma(void** arguments, uint32_t) {
  statistics.mma++;
  // As bits first: whole matrices are widened at once, which compilers vectorise.
  uint16_t bits[16][16 + 8];  // row k of b, and column k of a, side by side
  float d[16][8], wide[16][16 + 8];
  for (int l = 0; l < 32; l++) {
    const auto& f = *static_cast<Fragments*>(arguments[l]);
    const int g = l >> 2, c = 2 * (l & 3);
    for (int i = 0; i < 2; i++) {
      for (int half = 0; half < 2; half++) {
        bits[c + 8 * half + i][g] = uint16_t(f.a[2 * half] >> 16 * i);
        bits[c + 8 * half + i][g + 8] = uint16_t(f.a[2 * half + 1] >> 16 * i);
        bits[c + 8 * half + i][16 + g] = uint16_t(f.b[half] >> 16 * i);
      }
      d[g][c + i] = f.d[i];
      d[g + 8][c + i] = f.d[2 + i];
    }
  }
  const uint16_t* const from = bits[0];
  float* const to = wide[0];
  for (int i = 0; i < 16 * 24; i++)
    to[i] = kType == kHalf ? half_to_float(from[i]) : bf16_to_float(from[i]);
  for (int k = 0; k < 16; k++)
    for (int i = 0; i < 16; i++)
      for (int j = 0; j < 8; j++) d[i][j] += wide[k][i] * wide[k][16 + j];
  for (int l = 0; l < 32; l++) {
    const auto& f = *static_cast<Fragments*>(arguments[l]);
    const int g = l >> 2, c = 2 * (l & 3);
    for (int i = 0; i < 2; i++) {
      f.d[i] = d[g][c + i];
      f.d[2 + i] = d[g + 8][c + i];
    }
  }
}

// Registers hold four values of k where 16-bit types have two: columns 4 * (lane % 4) and on.
void execute_mma_e4m3(void** arguments, uint32_t) {
  statistics.mma++;
  float d[16][8], wide[32][16 + 8];  // row k of b, and column k of a, side by side
  for (int l = 0; l < 32; l++) {
    const auto& f = *static_cast<Fragments*>(arguments[l]);
    const int g = l >> 2, c = 4 * (l & 3);
    const auto value = [](uint32_t four, int i) { return e4m3_to_float(uint8_t(four >> 8 * i)); };
    for (int i = 0; i < 4; i++)
      for (int half = 0; half < 2; half++) {
        float* const column = wide[c + 16 * half + i];
        column[g] = value(f.a[2 * half], i);
        column[g + 8] = value(f.a[2 * half + 1], i);
        column[16 + g] = value(f.b[half], i);
      }
    for (int i = 0; i < 2; i++) {
      d[g][2 * (l & 3) + i] = f.d[i];
      d[g + 8][2 * (l & 3) + i] = f.d[2 + i];
    }
  }
  for (int k = 0; k < 32; k++)
    for (int i = 0; i < 16; i++)
      for (int j = 0; j < 8; j++) d[i][j] += wide[k][i] * wide[k][16 + j];
  for (int l = 0; l < 32; l++) {
    const auto& f = *static_cast<Fragments*>(arguments[l]);
    const int g = l >> 2;
    for (int i = 0; i < 2; i++) {
      f.d[i] = d[g][2 * (l & 3) + i];
      f.d[2 + i] = d[g + 8][2 * (l & 3) + i];
    }
  }
}

}  // namespace

float widen(uint16_t bits, int type) {
  return type == kHalf ? half_to_float(bits) : bf16_to_float(bits);
}

void widen8(const void* bits, int type, float* out) {
  uint16_t values[8];
  std::memcpy(values, bits, 16);
  if (type == kHalf)
    for (int i = 0; i < 8; i++) out[i] = half_to_float(values[i]);
  else
    for (int i = 0; i < 8; i++) out[i] = bf16_to_float(values[i]);
}

void ldmatrix(uint32_t* registers, int count, bool transposed, const void* row, const char* file,
              int line) {
  if ((current->index & 31) < count * 8) {
    require_shared(row, 16, 16, "ldmatrix", file, line);
    note_read(row, 16);
  }
  Rows argument{static_cast<const char*>(row), registers};
  const auto execute = count == 4
                           ? (transposed ? execute_ldmatrix<4, true> : execute_ldmatrix<4, false>)
                           : (transposed ? execute_ldmatrix<2, true> : execute_ldmatrix<2, false>);
  warp_op("ldmatrix", ~0u, &argument, file, line, execute);
}

void mma_16816(float* d, const uint32_t* a, const uint32_t* b, int type, const char* file,
               int line) {
  Fragments argument{d, a, b};
  warp_op("mma.sync", ~0u, &argument, file, line,
          type == kHalf ? execute_mma<kHalf> : execute_mma<kBfloat16>);
}

void mma_16832_e4m3(float* d, const uint32_t* a, const uint32_t* b, const char* file, int line) {
  Fragments argument{d, a, b};
  warp_op("mma.sync", ~0u, &argument, file, line, execute_mma_e4m3);
}

}  // namespace deepcache::emulator

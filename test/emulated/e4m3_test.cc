// The instructions of e4m3 against tables written from the PTX manual, element by element: op cases
// alone would not see it if a and b took their values of k in the same wrong order.

#include "test/ops/e4m3.h"

#include <cmath>

#include "halves.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

using namespace cuda;

struct MmaArgs {
  const uint8_t *a, *b;  // [16][32], [32][8]
  float* d;              // [16][8]
};

// "Matrix fragments for mma.m16n8k32", 8-bit types: element i of a thread's 16 of a, 8 of b, 4 of
// d.
void mma_kernel(MmaArgs args) {
  wait_for_previous_grid();
  const int group = int(threadIdx.x) >> 2, in_group = int(threadIdx.x) & 3;
  uint32_t a[4] = {}, b[2] = {};
  for (int i = 0; i < 16; i++) {
    const bool upper = i < 4 || (i >= 8 && i < 12);
    const int row = upper ? group : group + 8;
    const int column = i < 8 ? in_group * 4 + (i & 3) : in_group * 4 + (i & 3) + 16;
    a[i / 4] |= uint32_t(args.a[row * 32 + column]) << (8 * (i % 4));
  }
  for (int i = 0; i < 8; i++) {
    const int row = i < 4 ? in_group * 4 + (i & 3) : in_group * 4 + (i & 3) + 16;
    b[i / 4] |= uint32_t(args.b[row * 8 + group]) << (8 * (i % 4));
  }
  float d[4];
  const auto place = [&](int i) {
    return (i < 2 ? group : group + 8) * 8 + in_group * 2 + (i & 1);
  };
  for (int i = 0; i < 4; i++) d[i] = args.d[place(i)];
  mma_16832_e4m3(d, a, b);
  for (int i = 0; i < 4; i++) args.d[place(i)] = d[i];
}

// By a warpgroup: a of 64 rows and b of 40, from byte 32 on in rows of 128 bytes in the 128-byte
// swizzle.
struct WgmmaArgs {
  const uint8_t *a, *b;  // [64][32], [40][32]
  float* d;              // [64][40]
};
constexpr int kWgmmaColumns = 40, kWgmmaShared = 64 * 128 + kWgmmaColumns * 128;

// "Register Fragments for wgmma.mma_async.m64nNk32", D: element i of a thread's.
void wgmma_kernel(WgmmaArgs args) {
  wait_for_previous_grid();
  DYNAMIC_SHARED(shared);
  const auto place = [](int row, int byte) {
    return row * 128 + ((byte / 16) ^ (row % 8)) * 16 + byte % 16;
  };
  for (int i = int(threadIdx.x); i < kWgmmaShared; i += 128) shared[i] = 0x7f;  // NaN
  __syncthreads();
  for (int i = int(threadIdx.x); i < 64 * 32; i += 128)
    shared[place(i / 32, 32 + i % 32)] = args.a[i];
  for (int i = int(threadIdx.x); i < kWgmmaColumns * 32; i += 128)
    shared[64 * 128 + place(i / 32, 32 + i % 32)] = args.b[i];
  fence_async_proxy();
  __syncthreads();
  const int row = int(threadIdx.x) / 32 * 16 + int(threadIdx.x) % 32 / 4;
  const auto at = [&](int i) {
    return (row + i / 2 % 2 * 8) * kWgmmaColumns + i / 4 * 8 + int(threadIdx.x) % 4 * 2 + i % 2;
  };
  float d[kWgmmaColumns / 2];
  for (int i = 0; i < kWgmmaColumns / 2; i++) d[i] = args.d[at(i)];
  wgmma_fence();
  wgmma<E4m3, kWgmmaColumns>(d, wgmma_descriptor(shared + 32, 16, 1024),
                             wgmma_descriptor(shared + 64 * 128 + 32, 16, 1024), true);
  wgmma_commit();
  wgmma_wait<0>();
  for (int i = 0; i < kWgmmaColumns / 2; i++) args.d[at(i)] = d[i];
}

// Codes of small whole numbers, so that sums are exact. No two rows or columns of k are alike.
class Codes {
 public:
  uint8_t next() {
    state_ = state_ * 1664525 + 1013904223;
    return uint8_t(nearest_e4m3(double(state_ >> 28) - 8));
  }

 private:
  uint32_t state_ = 1;
};

struct PackArgs {
  const float* values;
  uint16_t* codes;
};

void pack_kernel(PackArgs args) {
  wait_for_previous_grid();
  for (int i = int(threadIdx.x); i < 128; i += 32)
    args.codes[i] = pack_e4m3(args.values[2 * i], args.values[2 * i + 1]);
}

}  // namespace

TEST(quick_e4m3_mma_is_the_product_of_documented_fragments) {
  const gpu::Memory a(16 * 32), b(32 * 8), d(16 * 8 * sizeof(float));
  const auto codes = [](const gpu::Memory& memory) {
    return reinterpret_cast<uint8_t*>(memory.data());
  };
  float* const sums = reinterpret_cast<float*>(d.data());
  Codes values;
  for (int i = 0; i < 16 * 32; i++) codes(a)[i] = values.next();
  for (int i = 0; i < 32 * 8; i++) codes(b)[i] = values.next();
  for (int i = 0; i < 16 * 8; i++) sums[i] = float(i);
  const MmaArgs args{codes(a), codes(b), sums};
  gpu::launch(mma_kernel, dim3(1), dim3(32), 0, nullptr, args);
  for (int m = 0; m < 16; m++)
    for (int n = 0; n < 8; n++) {
      double sum = m * 8 + n;
      for (int k = 0; k < 32; k++)
        sum += e4m3_value(codes(a)[m * 32 + k]) * e4m3_value(codes(b)[k * 8 + n]);
      CHECK_EQ(double(sums[m * 8 + n]), sum);
    }
}

TEST(quick_e4m3_wgmma_is_the_product_of_rows) {
  constexpr int kColumns = kWgmmaColumns;
  const gpu::Memory a(64 * 32), b(kColumns * 32), d(64 * kColumns * sizeof(float));
  uint8_t* const rows = reinterpret_cast<uint8_t*>(a.data());
  uint8_t* const columns = reinterpret_cast<uint8_t*>(b.data());
  float* const sums = reinterpret_cast<float*>(d.data());
  Codes values;
  for (int i = 0; i < 64 * 32; i++) rows[i] = values.next();
  for (int i = 0; i < kColumns * 32; i++) columns[i] = values.next();
  for (int i = 0; i < 64 * kColumns; i++) sums[i] = float(i);
  gpu::launch(wgmma_kernel, dim3(1), dim3(128), kWgmmaShared, nullptr,
              WgmmaArgs{rows, columns, sums});
  for (int m = 0; m < 64; m++)
    for (int n = 0; n < kColumns; n++) {
      double sum = m * kColumns + n;
      for (int k = 0; k < 32; k++)
        sum += e4m3_value(rows[m * 32 + k]) * e4m3_value(columns[n * 32 + k]);
      CHECK_EQ(double(sums[m * kColumns + n]), sum);
    }
}

TEST(quick_e4m3_pairs_hold_the_first_value_in_the_low_byte) {
  const gpu::Memory values(256 * sizeof(float)), codes(128 * sizeof(uint16_t));
  float* const from = reinterpret_cast<float*>(values.data());
  for (int i = 0; i < 256; i++) from[i] = float(e4m3_value(i)) * (i % 3 ? 1 : 1.03125f);
  from[0] = INFINITY;
  const PackArgs args{from, reinterpret_cast<uint16_t*>(codes.data())};
  gpu::launch(pack_kernel, dim3(1), dim3(32), 0, nullptr, args);
  for (int i = 0; i < 256; i++) {
    const double value = std::isinf(from[i]) ? 448.0 : double(from[i]);
    CHECK_EQ(int(reinterpret_cast<uint8_t*>(codes.data())[i]), nearest_e4m3(value));
  }
}

}  // namespace deepcache::test

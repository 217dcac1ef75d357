// A small product in Hopper's style, full of what can go wrong: computed right under every mode,
// and each of its planted bugs found.

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "halves.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

using namespace cuda;
using cuda::gpu::Swizzle;
using emulator::Async;

// Planted bugs.
enum Bug {
  kNone,
  kWrongParity = 1001,
  kTooFewBytes,
  kTooManyBytes,
  kNoFullWait,
  kEarlyRelease,
  kNoRelease,
  kNoInitFence,
  kNoWgmmaFence,
  kNoWgmmaWait,
  kNoProxyFence,
  kFenceBeforeWrite,
  kNoReadWait,
  kNoLastReadWait,
  kNoStoreCommit,
  kNoRegisters,
  kWrongStride,
  kOneWarpReleases,
};

// Tiles of 128 rows, 64 for each of two consumer warpgroups; k and columns in 64s. One producer
// thread loads a ring of two stages.
constexpr int kStages = 2, kBytesA = 128 * 128, kBytesB = 64 * 128, kPanel = 64 * 128;
constexpr int kShared = kStages * (kBytesA + kBytesB) + 2 * kPanel + 2 * kStages * 8;

struct ProductArgs {
  int tiles, k_tiles;
};

// Where the pair of values from an even `column` on lies in rows of 64 values.
unsigned char* swizzled_pair(unsigned char* tile, int row, int column) {
  return tile + row * 128 + ((column / 8) ^ (row % 8)) * 16 + column % 8 * 2;
}

void produce(unsigned char* shared, uint64_t* full, uint64_t* empty, const TensorMap& a,
             const TensorMap& b, bool transposed_b, const ProductArgs& args) {
  int step = 0;
  for (int tile = 0; tile < args.tiles; tile++)
    for (int k = 0; k < args.k_tiles; k++, step++) {
      const int stage = step % kStages, parity = step / kStages & 1;
      unsigned char* const to = shared + stage * (kBytesA + kBytesB);
      mbarrier_wait(&empty[stage], PLANTED(kWrongParity) ? parity : parity ^ 1);
      mbarrier_arrive_expect(&full[stage], PLANTED(kTooFewBytes)    ? kBytesA
                                           : PLANTED(kTooManyBytes) ? kBytesA + kBytesB + 16
                                                                    : kBytesA + kBytesB);
      tma_load_2d(to, &a, &full[stage], k * 64, tile * 128);
      tma_load_2d(to + kBytesA, &b, &full[stage], transposed_b ? 0 : k * 64,
                  transposed_b ? k * 64 : 0);
    }
}

template <int kTransposedB, bool kRegisters>
void product_kernel(const TensorMap a, const TensorMap b, const TensorMap y, ProductArgs args) {
  wait_for_previous_grid();
  DYNAMIC_SHARED(shared);
  unsigned char* const panels = shared + kStages * (kBytesA + kBytesB);
  uint64_t* const full = reinterpret_cast<uint64_t*>(panels + 2 * kPanel);
  uint64_t* const empty = full + kStages;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(&full[i], 1);
      mbarrier_init(&empty[i], PLANTED(kOneWarpReleases) ? 2 : 8);
    }
    if (!PLANTED(kNoInitFence)) mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    if (!PLANTED(kNoRegisters)) registers_shrink<24>();
    if (threadIdx.x == 0) produce(shared, full, empty, a, b, kTransposedB, args);
    return;
  }
  registers_grow<240>();
  const int group = int(threadIdx.x) / 128 - 1, warp = int(threadIdx.x) / 32 % 4;
  const int lane = int(threadIdx.x) % 32;
  const bool leads = threadIdx.x % 128 == 0;
  const bool releases = PLANTED(kOneWarpReleases) ? leads : lane == 0;
  unsigned char* const panel = panels + group * kPanel;
  int step = 0;
  for (int tile = 0; tile < args.tiles; tile++) {
    float d[32] = {};
    for (int k = 0; k < args.k_tiles; k++, step++) {
      const int stage = step % kStages;
      unsigned char* const stage_a = shared + stage * (kBytesA + kBytesB) + group * 64 * 128;
      unsigned char* const stage_b = shared + stage * (kBytesA + kBytesB) + kBytesA;
      if (!PLANTED(kNoFullWait)) mbarrier_wait(&full[stage], step / kStages & 1);
      uint32_t fragments[4][4];
      for (int i = 0; kRegisters && i < 16; i++)
        std::memcpy(&fragments[i / 4][i % 4],
                    swizzled_pair(stage_a, warp * 16 + lane / 4 + i % 2 * 8,
                                  i / 4 * 16 + i / 2 % 2 * 8 + lane % 4 * 2),
                    4);
      if (!PLANTED(kNoWgmmaFence)) wgmma_fence();
      const int stride = PLANTED(kWrongStride) ? 512 : 1024;
      for (int i = 0; i < 4; i++) {
        const uint64_t b_part = kTransposedB ? wgmma_descriptor(stage_b + i * 16 * 128, 16, stride)
                                             : wgmma_descriptor(stage_b + i * 32, 16, stride);
        if (kRegisters)
          wgmma<Half, 64, kTransposedB>(d, fragments[i], b_part, k || i);
        else
          wgmma<Half, 64, kTransposedB>(d, wgmma_descriptor(stage_a + i * 32, 16, stride), b_part,
                                        k || i);
      }
      wgmma_commit();
      if (PLANTED(kEarlyRelease) && releases) mbarrier_arrive(&empty[stage]);
      if (!PLANTED(kNoWgmmaWait)) wgmma_wait<0>();
      if (!PLANTED(kEarlyRelease) && !PLANTED(kNoRelease) && releases)
        mbarrier_arrive(&empty[stage]);
    }
    if (leads && !PLANTED(kNoReadWait)) tma_store_wait_read();
    named_barrier(1 + group, 128);
    if (PLANTED(kFenceBeforeWrite)) fence_async_proxy();
    for (int i = 0; i < 16; i++) {
      const uint32_t pair = Number<Half>::pack(d[2 * i], d[2 * i + 1]);
      std::memcpy(swizzled_pair(panel, warp * 16 + lane / 4 + i % 2 * 8, i / 2 * 8 + lane % 4 * 2),
                  &pair, 4);
    }
    if (!PLANTED(kNoProxyFence) && !PLANTED(kFenceBeforeWrite)) fence_async_proxy();
    named_barrier(1 + group, 128);
    if (!leads) continue;
    tma_store_2d(&y, panel, 0, tile * 128 + group * 64);
    if (!PLANTED(kNoStoreCommit)) tma_store_commit();
  }
  if (leads && !PLANTED(kNoLastReadWait)) tma_store_wait_read();
}

// The largest difference from the product of the rounded inputs. 200 of 256 rows and k = 136 of 192
// exist.
template <int kTransposedB, bool kRegisters>
double product_error() {
  constexpr int kRows = 200, kDepth = 136, kColumns = 64;
  Halves a(size_t(kRows) * kDepth, 1), b(size_t(kColumns) * kDepth, 2), y(size_t(kRows) * kColumns);
  const auto map = [](Halves& values, int rows, int columns, int box_rows) {
    return gpu::tiled_map(gpu::MapType::half, values.data(),
                          {axis(columns, 1, 64), axis(rows, columns, box_rows)}, Swizzle::bytes128);
  };
  gpu::launch(product_kernel<kTransposedB, kRegisters>, dim3(1), dim3(384), kShared, nullptr,
              map(a, kRows, kDepth, 128),
              kTransposedB ? map(b, kDepth, kColumns, 64) : map(b, kColumns, kDepth, 64),
              map(y, kRows, kColumns, 64), ProductArgs{2, 3});
  double worst = 0;
  for (int row = 0; row < kRows; row++)
    for (int column = 0; column < kColumns; column++) {
      double sum = 0;
      for (int k = 0; k < kDepth; k++)
        sum += double(a[size_t(row) * kDepth + k]) *
               b[kTransposedB ? size_t(k) * kColumns + column : size_t(column) * kDepth + k];
      const double error = std::abs(y[size_t(row) * kColumns + column] - sum);
      worst = error <= worst ? worst : error;  // and NaN stays
      if (std::isnan(error)) return error;
    }
  return worst;
}

// Sums of up to 16 in fp16: half a unit in the last place is 2^-8 there.
constexpr double kTolerance = 1.0 / 256;

// What is wrong with the product, or nothing.
template <int kTransposedB, bool kRegisters>
std::string product_problem() {
  try {
    const double error = product_error<kTransposedB, kRegisters>();
    return error <= kTolerance ? "" : "the largest error is " + std::to_string(error);
  } catch (const std::exception& error) {
    return error.what();
  }
}

struct PlantedBug {
  Bug bug;
  const char* message;  // a part of what is reported; empty for wrong values
  bool shows_at_issue;
};

constexpr PlantedBug kBugs[] = {
    {kWrongParity, "hung", true},
    {kTooFewBytes, "", true},
    {kTooManyBytes, "hung", true},
    {kNoFullWait, "", false},
    {kEarlyRelease, "", false},
    {kNoRelease, "hung", true},
    {kNoInitFence, "initialisation was not fenced", true},
    {kNoWgmmaFence, "without wgmma_fence", true},
    {kNoWgmmaWait, "", true},
    {kNoProxyFence, "largest error", true},
    {kFenceBeforeWrite, "largest error", true},
    {kNoReadWait, "largest error", false},
    {kNoLastReadWait, "before its TMA stores read", false},
    {kNoStoreCommit, "", false},
    {kNoRegisters, "hung", true},
    {kWrongStride, "largest error", true},
    {kOneWarpReleases, "largest error", false},
};

}  // namespace

TEST(quick_wgmma_products) {
  for (const uint64_t seed : {1, 2})
    for (const Async async : {Async::late, Async::random, Async::at_issue}) {
      const Emulation emulation(seed, async);
      CHECK_EQ((product_problem<0, false>()), std::string());
      CHECK_EQ((product_problem<1, false>()), std::string());
      CHECK_EQ((product_problem<0, true>()), std::string());
      CHECK_EQ((product_problem<1, true>()), std::string());
    }
}

TEST(quick_wgmma_planted_bugs_are_found) {
  std::string missed;
  for (const PlantedBug& planted : kBugs)
    for (const uint64_t seed : {1, 2, 3, 4})
      for (const Async async : {Async::late, Async::random, Async::at_issue}) {
        if (async != Async::late && !planted.shows_at_issue) continue;
        const Emulation emulation(seed, async);
        emulator::options.planted_bug = planted.bug;
        const std::string problem = product_problem<0, false>();
        if (problem.empty() || problem.find(planted.message) == std::string::npos)
          missed += "\n  " + std::to_string(planted.bug) + ", seed " + std::to_string(seed) +
                    ", mode " + std::to_string(int(async)) + ": " + problem;
      }
  if (!missed.empty()) throw Failure("not found:" + missed);
}

}  // namespace deepcache::test

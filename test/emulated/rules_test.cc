// Rules of the hardware, each with a kernel that keeps it and one that breaks it and would compute
// the same if nobody looked.

#include <stdexcept>

#include "cuda/gpu.h"
#include "emulated.h"
#include "emulator/shared_limit.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

using namespace cuda;
using emulator::Async;

enum Break {
  kNothing,
  kBarrierNumber,
  kBarrierThreads,
  kPartOfAWarp,
  kTwoPlaces,
  kThreeWarpsChange,
  kOtherCount,
  kSmallWarpgroup,
  kTooManyRegisters,
  kSwizzleMode,
  kBaseOffset,
  kSecondRow,
  kUnusedBit,
  kMisaligned,
  kStaticMemory,
  kNobodyWaits,
  kOneThreadWaits,
  kStoreBeforeTheWait,
  kNoMeeting,
  kEndsAlone,
};

// Half of a warp's lanes must not come, or come elsewhere.
void barriers_kernel(int broken, int* out) {
  wait_for_previous_grid();
  const int threads = broken == kBarrierThreads ? 40 : 32, lane = int(threadIdx.x) % 32;
  if (broken == kBarrierThreads ? threadIdx.x < 40 : broken != kPartOfAWarp || lane < 16) {
    if (broken == kTwoPlaces && lane < 16)
      named_barrier(1, threads);
    else
      named_barrier(broken == kBarrierNumber ? 16 : 1, threads);
  }
  out[threadIdx.x] = 1;
}

void registers_kernel(int broken, int* out) {
  wait_for_previous_grid();
  const int warp = int(threadIdx.x) / 32;
  if (broken == kTooManyRegisters) registers_grow<248>();
  if (threadIdx.x < 128) {
    if (broken == kOtherCount && warp == 3)
      registers_shrink<32>();
    else if (broken != kThreeWarpsChange || warp < 3)
      registers_shrink<24>();
  }
  out[threadIdx.x] = 1;
}

void descriptor_kernel(int broken, int* out) {
  wait_for_previous_grid();
  DYNAMIC_SHARED(shared);
  for (int i = int(threadIdx.x); i < 4096; i += 128) reinterpret_cast<uint32_t*>(shared)[i] = 0;
  fence_async_proxy();
  __syncthreads();
  float d[4] = {};
  const unsigned char* const at = shared + (broken == kSecondRow ? 128 : 0);
  uint64_t b = wgmma_descriptor(at, 16, 1024);
  if (broken == kSwizzleMode) b ^= uint64_t(3) << 62;  // the 64-byte one
  if (broken == kBaseOffset) b |= uint64_t(1) << 49;
  if (broken == kUnusedBit) b |= uint64_t(1) << 46;
  wgmma_fence();
  wgmma<Half, 8>(d, wgmma_descriptor(shared, 16, 1024), b, true);
  wgmma_commit();
  wgmma_wait<0>();
  out[threadIdx.x] = 1 + int(d[0]);
}

void vectors_kernel(int broken, int* out) {
  wait_for_previous_grid();
  const int shift = broken == kMisaligned ? 1 : 0;
  if (threadIdx.x == 0) out[0] = 1;
  *reinterpret_cast<uint2*>(out + 2 * threadIdx.x + shift) = {1, 1};
}

void static_memory_kernel(int, int* out) {
  wait_for_previous_grid();
  SHARED_ARRAY(int, values, 9 * 1024);
  DYNAMIC_SHARED(shared);
  values[threadIdx.x] = 1;
  reinterpret_cast<int*>(shared)[threadIdx.x] = 0;
  out[threadIdx.x] = values[threadIdx.x] + reinterpret_cast<int*>(shared)[threadIdx.x];
}

// Thread 0 waits for the grid before and meets the others.
void order_kernel(int broken, int* out) {
  if (broken == kStoreBeforeTheWait) out[threadIdx.x] = 1;
  if (broken != kNobodyWaits && threadIdx.x == 0) wait_for_previous_grid();
  if (broken != kNoMeeting && broken != kNobodyWaits) __syncthreads();
  out[threadIdx.x] = 1;
}
void lanes_kernel(int broken, int* out) {
  if (broken != kOneThreadWaits || threadIdx.x == 0) wait_for_previous_grid();
  out[threadIdx.x] = 1;
}

// One of a pair arrives at the other one's barrier, which that one does not wait for.
void pair_kernel(int broken, int* out) {
  wait_for_previous_grid();
  SHARED_ARRAY(uint64_t, barrier, 1);
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, 1);
    mbarrier_init_fence();
  }
  cluster_arrive();
  cluster_wait();
  if (blockIdx.x == 0 && threadIdx.x == 0) mbarrier_arrive_in_cluster(barrier, 1);
  __syncwarp();
  out[blockIdx.x * blockDim.x + threadIdx.x] = 1;
  if (broken == kEndsAlone) return;
  cluster_arrive();
  cluster_wait();
}

struct Rule {
  void (*kernel)(int, int*);
  unsigned threads;
  size_t shared_bytes;
  Break broken;
  const char* message;  // a part of what is reported
  unsigned blocks = 1;  // a cluster
};

constexpr Rule kRules[] = {
    {barriers_kernel, 64, 0, kBarrierNumber, "number 16 is not 1 to 15"},
    {barriers_kernel, 64, 0, kBarrierThreads, "40 threads are no multiple of 32"},
    {barriers_kernel, 64, 0, kPartOfAWarp, "hung"},
    {barriers_kernel, 64, 0, kTwoPlaces, "other lanes of the warp wait at"},
    {registers_kernel, 256, 0, kThreeWarpsChange, "by 96 threads of a warpgroup"},
    {registers_kernel, 256, 0, kOtherCount, "while others of the warpgroup change to"},
    {registers_kernel, 64, 0, kSmallWarpgroup, "less than four warps"},
    {registers_kernel, 384, 0, kTooManyRegisters, "hung"},
    {descriptor_kernel, 128, 16384, kSwizzleMode, "the 64-byte swizzle"},
    {descriptor_kernel, 128, 16384, kBaseOffset, "base offset is 1"},
    {descriptor_kernel, 128, 16384, kSecondRow, "begins in row 1"},
    {descriptor_kernel, 128, 16384, kUnusedBit, "bits set that mean nothing"},
    {vectors_kernel, 32, 0, kMisaligned, "misaligned"},
    {static_memory_kernel, 32, 16384, kStaticMemory, "36864 bytes of static and 16384 of dynamic"},
    {order_kernel, 32, 0, kNobodyWaits, "before the thread has waited"},
    {order_kernel, 32, 0, kStoreBeforeTheWait, "before the thread has waited"},
    {order_kernel, 32, 0, kNoMeeting, "before the thread has waited"},
    {lanes_kernel, 32, 0, kOneThreadWaits, "before the thread has waited"},
    {pair_kernel, 32, 0, kEndsAlone, "has ended", 2},
};

// What is reported of a launch, or nothing.
std::string problem_of(const Rule& rule, Break broken) {
  const gpu::Memory out(4 * 1024);
  const unsigned threads =
      broken == kNothing && rule.broken == kSmallWarpgroup ? 128 : rule.threads;
  if (broken != kStaticMemory)
    emulator::allow_shared_memory(reinterpret_cast<const void*>(rule.kernel), 100 << 10);
  else
    emulator::forget_allowed_shared_memory();
  try {
    emulator::launch(rule.kernel, dim3(rule.blocks), dim3(threads), rule.shared_bytes, rule.blocks,
                     nullptr, int(broken), reinterpret_cast<int*>(out.data()));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  for (unsigned i = 0; i < rule.blocks * threads; i++)
    if (reinterpret_cast<const int*>(out.data())[i] != 1) return "wrong values";
  return "";
}

}  // namespace

TEST(quick_rules_are_enforced) {
  std::string missed;
  for (const Rule& rule : kRules)
    for (const uint64_t seed : {1, 2})
      for (const Async async : {Async::late, Async::random}) {
        const Emulation emulation(seed, async);
        CHECK_EQ(problem_of(rule, kNothing), std::string());
        const std::string problem = problem_of(rule, rule.broken);
        if (problem.find(rule.message) == std::string::npos)
          missed += "\n  " + std::string(rule.message) + ", seed " + std::to_string(seed) +
                    ", mode " + std::to_string(int(async)) + ": " + problem;
      }
  if (!missed.empty()) throw Failure("not reported:" + missed);
}

// Weights are not written by the grid before.
TEST(quick_rules_weights_may_be_read_early) {
  const Emulation emulation(1, Async::late);
  const auto kernel = +[](const int* weights, int* out) {
    const int value = weights[threadIdx.x];
    wait_for_previous_grid();
    out[threadIdx.x] = value;
  };
  const gpu::Memory weights(128), out(128);
  const auto run = [&] {
    emulator::launch(kernel, dim3(1), dim3(32), 0, 1, nullptr,
                     reinterpret_cast<const int*>(weights.data()),
                     reinterpret_cast<int*>(out.data()));
  };
  std::string problem;
  try {
    run();
  } catch (const std::runtime_error& error) {
    problem = error.what();
  }
  CHECK(problem.find("before the thread has waited") != std::string::npos);
  gpu::declare_constant(weights.data());
  run();
}

// The bits of a descriptor as the PTX manual tabulates them (Matrix Descriptor Format).
TEST(quick_rules_matrix_descriptor) {
  struct Field {
    const char* name;
    int first, bits;
  };
  constexpr Field kFields[] = {{"start address", 0, 14},
                               {"leading dimension byte offset", 16, 14},
                               {"stride dimension byte offset", 32, 14},
                               {"base offset", 49, 3},
                               {"swizzle mode", 62, 2}};
  struct Example {
    uint32_t address;
    int leading, stride;
    uint64_t values[5];  // addresses and offsets are in 16 bytes, the 128-byte swizzle is 1
  };
  constexpr Example kExamples[] = {{0, 16, 1024, {0, 1, 64, 0, 1}},
                                   {1024, 16, 1024, {64, 1, 64, 0, 1}},
                                   {0x38c20, 16, 2048, {0x38c2, 1, 128, 0, 1}},
                                   {0x3fff0, 16384, 1024, {0x3fff, 1024, 64, 0, 1}}};
  for (const Example& example : kExamples) {
    uint64_t left = matrix_descriptor(example.address, example.leading, example.stride);
    for (int i = 0; i < 5; i++) {
      const uint64_t mask = (uint64_t(1) << kFields[i].bits) - 1;
      CHECK_EQ(left >> kFields[i].first & mask, example.values[i]);
      left &= ~(mask << kFields[i].first);
    }
    CHECK_EQ(left, uint64_t(0));
  }
}

}  // namespace deepcache::test
